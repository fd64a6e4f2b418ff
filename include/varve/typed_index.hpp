// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "varve/codec.hpp"
#include "varve/error.hpp"
#include "varve/options.hpp"
#include "varve/scan.hpp"
#include "varve/segment_index.hpp"
#include "varve/write_batch.hpp"

namespace varve {

namespace detail {

// The encoding of a value, or a view of the value where its bytes are the encoding. The value must
// outlive it.
template <class C, class T>
class Encoded {
 public:
  explicit Encoded(const T& value) {
    if constexpr (requires { C::view(value); }) {
      view_ = C::view(value);
    } else {
      C::encode(value, buffer_);
      view_ = buffer_;
    }
  }
  Encoded(const Encoded&) = delete;
  Encoded& operator=(const Encoded&) = delete;
  [[nodiscard]] std::string_view view() const noexcept { return view_; }

 private:
  std::string buffer_;
  std::string_view view_;
};

// Keys have at least one byte, so this is the smallest possible one. It stands for "no key below"
// where the engine reads an empty bound as "no bound".
inline constexpr std::string_view kSmallestKey{"\0", 1};

// An inclusive begin and an exclusive end in the engine's terms.
template <class C, class T>
std::string encode_begin(const std::optional<T>& begin) {
  std::string bytes;
  if (begin) C::encode(*begin, bytes);
  return bytes.empty() ? std::string(kSmallestKey) : bytes;
}
template <class C, class T>
std::string encode_end(const std::optional<T>& end) {
  std::string bytes;
  if (!end) return bytes;
  C::encode(*end, bytes);
  return bytes.empty() ? std::string(kSmallestKey) : bytes;
}

[[noreturn]] inline void throw_undecodable(const Error& error, std::string_view role,
                                           std::string_view codec, std::string_view key,
                                           const std::filesystem::path& path) {
  constexpr std::size_t kShownMax = 32;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string message = path.string();
  message.append(": decoding the ").append(role).append(" of key ");
  for (const char byte : key.substr(0, kShownMax)) {
    message.push_back(kDigits[static_cast<unsigned char>(byte) >> 4]);
    message.push_back(kDigits[static_cast<unsigned char>(byte) & 15]);
  }
  message.append(key.size() > kShownMax ? "... as " : " as ").append(codec).append(": ");
  throw Error(error.code(), message.append(error.what()), path);
}
// Adds to a decoder's error what it cannot know: the index and the key (encoded).
template <class C>
auto decode_key(std::string_view key, const std::filesystem::path& path) {
  try {
    return C::decode(key);
  } catch (const Error& error) {
    throw_undecodable(error, "bytes", C::name(), key, path);
  }
}
template <class C>
auto decode_value(std::string_view bytes, std::string_view key, const std::filesystem::path& path) {
  try {
    return C::decode(bytes);
  } catch (const Error& error) {
    throw_undecodable(error, "value", C::name(), key, path);
  }
}

}  // namespace detail

// As ScanOptions, with the bounds as keys.
template <class Key>
struct TypedScanOptions {
  std::optional<Key> from = {};  // First key, inclusive. None: the smallest.
  std::optional<Key> to = {};    // End, exclusive. None: no end.
  bool reverse = false;          // Descending order; from and to keep their meaning.
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  // Entries.
  Isolation isolation = Isolation::Snapshot;
  SegmentWindow window = {};
  const varve::Snapshot* snapshot = nullptr;
  std::string_view resume = {};  // A resume_token(): replaces from, to and reverse.
};

// A Cursor that decodes; also an input range of pairs:
//   for (const auto& [key, value] : index.scan({.from = 100})) ...
// Lifetime, thread-safety and errors: those of Cursor; also Corruption for bytes that the codecs
// refuse.
template <class Key, class Value, KeyCodec<Key> KeyCoding = Codec<Key>,
          ValueCodec<Value> ValueCoding = Codec<Value>>
class TypedCursor {
 public:
  using Entry = std::pair<Key, Value>;
  // `path` is for messages; it must live as long as the cursor.
  TypedCursor(Cursor cursor, const std::filesystem::path& path)
      : cursor_(std::move(cursor)), path_(&path) {}

  [[nodiscard]] bool next() {
    entry_.reset();
    if (!cursor_.next()) return false;
    entry_.emplace(detail::decode_key<KeyCoding>(cursor_.key(), *path_),
                   detail::decode_value<ValueCoding>(cursor_.value(), cursor_.key(), *path_));
    return true;
  }
  // Requires: next() true. Valid until the next step.
  [[nodiscard]] const Entry& entry() const noexcept { return *entry_; }
  [[nodiscard]] const Key& key() const noexcept { return entry_->first; }
  [[nodiscard]] const Value& value() const noexcept { return entry_->second; }
  // As Cursor::seek().
  void seek(const Key& key) {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    cursor_.seek(key_bytes.view());
  }
  [[nodiscard]] ScanEnd end_reason() const noexcept { return cursor_.end_reason(); }
  [[nodiscard]] std::string resume_token() const { return cursor_.resume_token(); }

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    const Entry& operator*() const noexcept { return *cursor_->entry_; }
    const Entry* operator->() const noexcept { return &*cursor_->entry_; }
    iterator& operator++() {
      if (!cursor_->next()) cursor_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
      return it.cursor_ == nullptr;
    }

   private:
    friend class TypedCursor;
    explicit iterator(TypedCursor* cursor) noexcept : cursor_(cursor) {}
    TypedCursor* cursor_ = nullptr;
  };
  // Takes the first step. Call once.
  [[nodiscard]] iterator begin() { return next() ? iterator(this) : iterator(); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  Cursor cursor_;
  std::optional<Entry> entry_;
  const std::filesystem::path* path_;
};

// As WriteBatch, with keys and values.
template <class Key, class Value, KeyCodec<Key> KeyCoding = Codec<Key>,
          ValueCodec<Value> ValueCoding = Codec<Value>>
class TypedBatch {
 public:
  void put(const Key& key, const Value& value) {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    const detail::Encoded<ValueCoding, Value> value_bytes(value);
    batch_.put(key_bytes.view(), value_bytes.view());
  }
  void erase(const Key& key) {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    batch_.erase(key_bytes.view());
  }
  // Erases every key in [from, to); nullopt: no bound on that side.
  void erase_range(const std::optional<Key>& from, const std::optional<Key>& to) {
    batch_.erase_range(detail::encode_begin<KeyCoding>(from), detail::encode_end<KeyCoding>(to));
  }
  void clear() noexcept { batch_.clear(); }
  [[nodiscard]] std::size_t count() const noexcept { return batch_.count(); }
  [[nodiscard]] bool empty() const noexcept { return batch_.empty(); }
  [[nodiscard]] const WriteBatch& bytes() const noexcept { return batch_; }

 private:
  WriteBatch batch_;
};

// A SegmentIndex with keys and values of C++ types, by the codecs of codec.hpp.
//
// The codecs' names are kept with the index: an index that was written by other codecs is refused
// with Error{Mismatch} that names both. An index without names takes those of its first typed
// handle, unless it is read-only; whether its bytes suit them shows when they are decoded.
//
// Ownership: over a SegmentIndex&, that index must outlive this; else the index belongs to this.
// Thread-safety, durability and errors: those of SegmentIndex; also Corruption for bytes that the
// codecs refuse, and InvalidArgument for a key whose encoding is empty (the string "").
template <class Key, class Value, KeyCodec<Key> KeyCoding = Codec<Key>,
          ValueCodec<Value> ValueCoding = Codec<Value>>
class TypedIndex {
  static_assert(detail::Owning<KeyCoding> && detail::Owning<ValueCoding>,
                "a decoded view would outlive its bytes: use std::string");

 public:
  using Batch = TypedBatch<Key, Value, KeyCoding, ValueCoding>;
  using Cursor = TypedCursor<Key, Value, KeyCoding, ValueCoding>;
  using ScanOptions = TypedScanOptions<Key>;

  // Errors: Mismatch; those of set_codecs().
  explicit TypedIndex(SegmentIndex& index) : index_(&index) { settle_codecs(); }
  explicit TypedIndex(SegmentIndex&& index)
      : owned_(std::make_unique<SegmentIndex>(std::move(index))), index_(owned_.get()) {
    settle_codecs();
  }
  // As SegmentIndex::open(), create() and open_in_memory(); the codec names in `options` are
  // replaced.
  [[nodiscard]] static TypedIndex open(const std::filesystem::path& directory,
                                       const Options& options = {}) {
    return TypedIndex(SegmentIndex::open(directory, with_codecs(options)));
  }
  [[nodiscard]] static TypedIndex create(const std::filesystem::path& directory,
                                         const Options& options = {}) {
    return TypedIndex(SegmentIndex::create(directory, with_codecs(options)));
  }
  [[nodiscard]] static TypedIndex open_in_memory(const Options& options = {}) {
    return TypedIndex(SegmentIndex::open_in_memory(with_codecs(options)));
  }

  void put(const Key& key, const Value& value, const WriteOptions& options = {}) {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    const detail::Encoded<ValueCoding, Value> value_bytes(value);
    index_->put(key_bytes.view(), value_bytes.view(), options);
  }
  void erase(const Key& key, const WriteOptions& options = {}) {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    index_->erase(key_bytes.view(), options);
  }
  // Erases every key in [from, to), atomically; nullopt: no bound on that side.
  void erase_range(const std::optional<Key>& from, const std::optional<Key>& to,
                   const WriteOptions& options = {}) {
    index_->erase_range(detail::encode_begin<KeyCoding>(from), detail::encode_end<KeyCoding>(to),
                        options);
  }
  void write(const Batch& batch, const WriteOptions& options = {}) {
    index_->write(batch.bytes(), options);
  }

  [[nodiscard]] std::optional<Value> get(const Key& key, const Snapshot* snapshot = nullptr) const {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    std::string bytes;
    if (!index().get(key_bytes.view(), bytes, snapshot)) return std::nullopt;
    return decode(std::move(bytes), key_bytes.view());
  }
  [[nodiscard]] bool contains(const Key& key, const Snapshot* snapshot = nullptr) const {
    const detail::Encoded<KeyCoding, Key> key_bytes(key);
    return index().contains(key_bytes.view(), snapshot);
  }
  // One answer per key, in their order, all of one moment.
  [[nodiscard]] std::vector<std::optional<Value>> multi_get(
      std::span<const Key> keys, const Snapshot* snapshot = nullptr) const {
    std::vector<std::string> encoded(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) KeyCoding::encode(keys[i], encoded[i]);
    const std::vector<std::string_view> views(encoded.begin(), encoded.end());
    std::vector<std::optional<std::string>> found = index().multi_get(views, snapshot);
    std::vector<std::optional<Value>> values(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i]) values[i].emplace(decode(*std::move(found[i]), views[i]));
    }
    return values;
  }

  [[nodiscard]] Cursor scan(const ScanOptions& options = {}) const {
    return scan_bytes(options, {});
  }
  // The entries whose key begins with the components of `head`; for tuple keys.
  //   index.scan_prefix(std::tuple("ada"))
  template <class... Head>
  requires requires(const std::tuple<Head...>& head, std::string& to) {
    KeyCoding::encode_prefix(head, to);
  }
  [[nodiscard]] Cursor scan_prefix(const std::tuple<Head...>& head,
                                   const ScanOptions& options = {}) const {
    std::string prefix;
    KeyCoding::encode_prefix(head, prefix);
    return scan_bytes(options, prefix);
  }

  // The index of bytes below, for everything that knows no types: snapshot(), sync(), close()...
  [[nodiscard]] SegmentIndex& index() noexcept { return *index_; }
  [[nodiscard]] const SegmentIndex& index() const noexcept { return *index_; }

 private:
  static Options with_codecs(Options options) {
    options.key_codec = KeyCoding::name();
    options.value_codec = ValueCoding::name();
    return options;
  }
  void settle_codecs() {
    const Options options = index_->options();
    require_codec("keys", options.key_codec, KeyCoding::name());
    require_codec("values", options.value_codec, ValueCoding::name());
    const bool unnamed = options.key_codec.empty() || options.value_codec.empty();
    if (unnamed && !options.read_only) index_->set_codecs(KeyCoding::name(), ValueCoding::name());
  }
  void require_codec(std::string_view what, std::string_view found, std::string_view wanted) const {
    if (found.empty() || found == wanted) return;
    std::string message = index_->path().string();
    message.append(": its ").append(what).append(" were written by codec ").append(found);
    message.append(", this program asks for codec ").append(wanted);
    throw Error(ErrorCode::Mismatch, message, index_->path());
  }
  Value decode(std::string&& bytes, std::string_view key) const {
    if constexpr (requires { ValueCoding::take(std::move(bytes)); }) {
      return ValueCoding::take(std::move(bytes));
    } else {
      return detail::decode_value<ValueCoding>(bytes, key, index_->path());
    }
  }
  [[nodiscard]] Cursor scan_bytes(const ScanOptions& options, std::string_view prefix) const {
    std::string from;
    if (options.from) KeyCoding::encode(*options.from, from);
    const std::string to = detail::encode_end<KeyCoding>(options.to);
    return Cursor(index().scan({.from = from,
                                .to = to,
                                .prefix = prefix,
                                .reverse = options.reverse,
                                .limit = options.limit,
                                .isolation = options.isolation,
                                .window = options.window,
                                .snapshot = options.snapshot,
                                .resume = options.resume}),
                  index_->path());
  }

  std::unique_ptr<SegmentIndex> owned_;  // Empty when constructed over another's.
  SegmentIndex* index_;
};

}  // namespace varve
