#include "cli/remote_tables.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "accounting/mem_cgroup.h"

namespace umemcg {
namespace {

// More than any version has, and little enough to be read.
constexpr uint64_t kMostLeafBytes = uint64_t{64} << 20;
constexpr uint32_t kMostRowSize = 4096;
// With fewer rows to a leaf, all that can be mapped has too many leaves.
constexpr uint32_t kLeastLeafShift = 10;

bool inside(uint32_t offset, size_t size, uint32_t row_size) {
  return row_size <= kMostRowSize && size <= row_size &&
         offset <= row_size - size;
}

bool makes_sense(const PageTableMap& map) {
  return map.magic == kPageTableMagic && map.slice_shift == kSliceShift &&
         map.leaf_shift >= kLeastLeafShift && map.leaf_shift < 32 &&
         map.row_size != 0 &&
         inside(map.word_offset, sizeof(uint64_t), map.row_size) &&
         uint64_t{map.row_size} << map.leaf_shift <= kMostLeafBytes;
}

bool makes_sense(const AccountMap& map) {
  return map.magic == kAccountMagic && map.block_rows != 0 &&
         inside(map.id_offset, sizeof(uint32_t), map.row_size) &&
         inside(map.charged_offset, sizeof(uint32_t), map.row_size) &&
         inside(map.charged_id_offset, sizeof(uint64_t), map.row_size) &&
         inside(map.inherited_offset, 1, map.row_size) &&
         inside(map.released_offset, 1, map.row_size);
}

uint64_t address_of(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

}  // namespace

int RemoteTables::read(uint64_t address, void* out, size_t size) {
  iovec local = {out, size};
  iovec remote = {reinterpret_cast<void*>(address), size};
  const ssize_t got = ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
  if (got == static_cast<ssize_t>(size)) return 0;
  return got < 0 && errno != EFAULT ? errno : EINVAL;
}

int RemoteTables::open(uint64_t page_table, uint64_t accounts) {
  if (page_table == 0 || accounts == 0) return EINVAL;
  int error = read(page_table, &map_, sizeof(map_));
  if (error == 0) error = read(accounts, &accounts_, sizeof(accounts_));
  if (error != 0) return error;
  return makes_sense(map_) && makes_sense(accounts_) ? 0 : EINVAL;
}

// Leaves that it has none of have no rows.
int RemoteTables::read_leaf(uint64_t index) {
  if (index == leaf_index_) return 0;
  leaf_.clear();
  leaf_index_ = index;
  if (index >= map_.leaf_count) return 0;
  uint64_t leaf;
  int error = read(address_of(map_.leaves) + index * sizeof(uint64_t), &leaf,
                   sizeof(leaf));
  if (error != 0 || leaf == 0) return error;
  leaf_.resize(size_t{map_.row_size} << map_.leaf_shift);
  return read(leaf, leaf_.data(), leaf_.size());
}

int RemoteTables::for_each_slice(
    uint64_t start, uint64_t end,
    const std::function<void(uint64_t, SliceWord)>& visit) {
  if (start >= end) return 0;
  const uint64_t rows = uint64_t{1} << map_.leaf_shift;
  const uint64_t last = (end - 1) >> kSliceShift;
  for (uint64_t slice = start >> kSliceShift; slice <= last;) {
    const uint64_t leaf = slice >> map_.leaf_shift;
    const uint64_t stop = std::min(last, (leaf + 1) * rows - 1);
    if (int error = read_leaf(leaf); error != 0) return error;
    for (; !leaf_.empty() && slice <= stop; ++slice) {
      uint64_t bits;
      std::memcpy(
          &bits,
          &leaf_[(slice & (rows - 1)) * map_.row_size + map_.word_offset],
          sizeof(bits));
      const SliceWord word(bits);
      if (word.owner() != 0) visit(slice << kSliceShift, word);
    }
    // Nothing lies beyond the last leaf.
    if (leaf >= map_.leaf_count) return 0;
    slice = stop + 1;
  }
  return 0;
}

int RemoteTables::find_owner(uint32_t id, Owner* owner) {
  const auto known = owners_.find(id);
  if (known != owners_.end()) {
    *owner = known->second;
    return 0;
  }
  const uint32_t block = id / accounts_.block_rows;
  if (block >= accounts_.block_count) return EINVAL;
  uint64_t rows;
  int error = read(address_of(accounts_.blocks) + block * sizeof(uint64_t),
                   &rows, sizeof(rows));
  if (error == 0 && rows == 0) error = EINVAL;
  std::vector<char> row(accounts_.row_size);
  if (error == 0) {
    error = read(rows + uint64_t{id % accounts_.block_rows} * row.size(),
                 row.data(), row.size());
  }
  if (error != 0) return error;
  uint32_t own_id;
  uint64_t charged_id;
  std::memcpy(&own_id, &row[accounts_.id_offset], sizeof(own_id));
  std::memcpy(&owner->group, &row[accounts_.charged_offset],
              sizeof(owner->group));
  std::memcpy(&charged_id, &row[accounts_.charged_id_offset],
              sizeof(charged_id));
  owner->inherited = row[accounts_.inherited_offset] != 0;
  if (own_id != id || row[accounts_.released_offset] != 0) return EINVAL;
  // An inherited account does not follow what its group becomes: when the row
  // is another's, all that is known is that some group above is charged.
  if (group_id(g_segment, owner->group) != charged_id) {
    owner->group = kRootGroup;
  }
  owners_.emplace(id, *owner);
  return 0;
}

}  // namespace umemcg
