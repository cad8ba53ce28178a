// SPDX-License-Identifier: MIT
//
// The device tree, as far as guests look into it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// Where it is: what the loader passed, or the start of RAM. False if neither is one.
bool device_tree_start(const void* passed);
/// A property of a node by its path, "/chosen": its value, and its bytes in *length; null if it is
/// not there.
const void* device_tree_property(const char* path, const char* property, uint32_t* length);
/// How many of the node's children have names that start so.
unsigned device_tree_children(const char* path, const char* prefix);
