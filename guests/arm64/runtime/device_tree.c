// SPDX-License-Identifier: MIT
#include "device_tree.h"

#include "layout.h"

// Devicetree specification 5.2 and 5.4.
enum { MAGIC = 0xd00dfeed };
enum { FDT_BEGIN_NODE = 1, FDT_END_NODE, FDT_PROP, FDT_NOP };
enum { MOST_PATH = 64 };

static const uint8_t* tree;

static uint32_t big32(const uint8_t* at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool starts_with(const char* text, const char* prefix) {
  while (*prefix != 0 && *text == *prefix) ++text, ++prefix;
  return *prefix == 0;
}
static bool same_text(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

bool device_tree_start(const void* passed) {
  const uint8_t* candidates[] = {passed, (const uint8_t*)RAM};
  for (unsigned i = 0; i < 2; ++i) {
    if (candidates[i] != 0 && big32(candidates[i]) == MAGIC) tree = candidates[i];
    if (tree != 0) return true;
  }
  return false;
}

/// Goes through the structure block, one token after the other.
struct walk {
  const uint8_t* at;
  uint32_t token;
  const char* name;  ///< of the node that begins, or of the property
  const uint8_t* value;
  uint32_t length;
  char path[MOST_PATH];  ///< of the node that the token belongs to; the root's is empty
  uint32_t path_length;
};

static void enter(struct walk* walk) {
  if (*walk->name == 0) return;  // the root
  walk->path[walk->path_length++] = '/';
  for (const char* n = walk->name; *n != 0 && walk->path_length < MOST_PATH - 2; ++n) {
    walk->path[walk->path_length++] = *n;
  }
  walk->path[walk->path_length] = 0;
}

static void leave(struct walk* walk) {
  while (walk->path_length > 0 && walk->path[--walk->path_length] != '/') {
  }
  walk->path[walk->path_length] = 0;
}

static struct walk begin(void) {
  struct walk walk;
  walk.at = tree != 0 ? tree + big32(tree + 8) : 0;
  walk.path[0] = 0;
  walk.path_length = 0;
  return walk;
}

static bool next(struct walk* walk) {
  if (walk->at == 0) return false;
  walk->token = big32(walk->at);
  walk->at += 4;
  switch (walk->token) {
    case FDT_BEGIN_NODE:
      walk->name = (const char*)walk->at;
      while (*walk->at++ != 0) {
      }
      enter(walk);
      break;
    case FDT_END_NODE: leave(walk); break;
    case FDT_PROP:
      walk->length = big32(walk->at);
      walk->name = (const char*)tree + big32(tree + 12) + big32(walk->at + 4);
      walk->value = walk->at + 8;
      walk->at += 8 + walk->length;
      break;
    case FDT_NOP: break;
    default: return false;
  }
  walk->at = (const uint8_t*)(((uint64_t)walk->at + 3) & ~3ULL);
  return true;
}

const void* device_tree_property(const char* path, const char* property, uint32_t* length) {
  for (struct walk walk = begin(); next(&walk);) {
    if (walk.token != FDT_PROP || !same_text(walk.path, path)) continue;
    if (!same_text(walk.name, property)) continue;
    *length = walk.length;
    return walk.value;
  }
  return 0;
}

unsigned device_tree_children(const char* path, const char* prefix) {
  unsigned children = 0;
  for (struct walk walk = begin(); next(&walk);) {
    if (walk.token != FDT_BEGIN_NODE || *walk.name == 0) continue;
    leave(&walk);
    if (same_text(walk.path, path) && starts_with(walk.name, prefix)) ++children;
    enter(&walk);
  }
  return children;
}
