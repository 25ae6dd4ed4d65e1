/* store/erofs_format.h - EROFS on disk, as much of it as an index of a tar needs.
 *
 * https://docs.kernel.org/filesystems/erofs.html, https://erofs.docs.kernel.org/en/latest/core_ondisk.html
 * All numbers are little-endian.
 */
#pragma once

#include <stdint.h>

#define EROFS_MAGIC      0xe0f5e1e2U
#define EROFS_BLOCK_BITS 9
#define EROFS_BLOCK_SIZE (1 << EROFS_BLOCK_BITS)
#define EROFS_SUPER_AT   1024 /* bytes from the start */
#define EROFS_SLOT_SIZE  128  /* of the device table, whose start is counted in these */
#define EROFS_NID_SHIFT  5    /* an inode's number is its place in units of 32 bytes */
#define EROFS_MAX_BLOCKS 0xffffffffLL
#define EROFS_HOLE       0xffffffffU                         /* a chunk without a block */
#define EROFS_XATTR_UNIT 4                                   /* entries are aligned to it */
#define EROFS_MAX_XATTRS ((size_t)0xfffe * EROFS_XATTR_UNIT) /* bytes of entries of one inode */

enum { EROFS_INCOMPAT_CHUNKED_FILE = 0x4, EROFS_INCOMPAT_DEVICE_TABLE = 0x8 };

struct erofs_super {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, extra_slots;
	uint16_t root_nid;
	uint64_t inodes, build_time;
	uint32_t build_time_nsec;
	uint32_t blocks; /* of the index */
	uint32_t meta_block, xattr_block;
	uint8_t uuid[16], volume_name[16];
	uint32_t feature_incompat;
	uint16_t compression;
	uint16_t extra_devices;
	uint16_t device_table_slot;
	uint8_t dir_block_bits, xattr_prefix_count;
	uint32_t xattr_prefix_start;
	uint64_t packed_nid;
	uint8_t reserved[24];
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_super) == 128, "the superblock has 128 bytes");

struct erofs_device {
	uint8_t tag[64];
	uint32_t blocks;
	uint32_t first_block; /* where its blocks are in the one numbering of all devices */
	uint8_t reserved[56];
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_device) == EROFS_SLOT_SIZE, "a slot has 128 bytes");

enum erofs_layout {
	EROFS_FLAT_PLAIN = 0,  /* data: consecutive blocks */
	EROFS_FLAT_INLINE = 2, /* data: behind the inode and its attributes, in the same block */
	EROFS_CHUNK_BASED = 4, /* data: wherever the table behind the inode says */
};

#define EROFS_FORMAT(layout) (1 | (layout) << 1) /* bit 0: the inode is an extended one */

struct erofs_inode {
	uint16_t format, xattr_units; /* 0, or 1 + bytes of entries / EROFS_XATTR_UNIT */
	uint16_t mode, reserved;
	uint64_t size;
	union {
		uint32_t block;
		uint32_t rdev;
		uint16_t chunk_format;
	} u;
	uint32_t ino, uid, gid;
	uint64_t mtime;
	uint32_t mtime_nsec, nlink;
	uint8_t reserved2[16];
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_inode) == 64, "an extended inode has 64 bytes");

#define EROFS_CHUNK_INDEXES 0x20 /* the table has entries of 8 bytes; low bits: log2(chunk/block) */

struct erofs_chunk {
	uint16_t reserved, device; /* 0: by the one numbering */
	uint32_t block;
} __attribute__((packed));

struct erofs_xattr_header {
	uint32_t filter;
	uint8_t shared_count, reserved[7];
} __attribute__((packed));

struct erofs_xattr_entry {
	uint8_t name_len, name_index;
	uint16_t value_len;
} __attribute__((packed));

struct erofs_dirent {
	uint64_t nid;
	uint16_t name_at; /* in the block; of a block's first one: its count times 12 */
	uint8_t type, reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_dirent) == 12, "a directory's entry has 12 bytes");
