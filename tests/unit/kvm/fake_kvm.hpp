// SPDX-License-Identifier: MIT
//
// A KVM that knows nothing but event filters, and answers as a test says.
#pragma once

#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "machine/kvm/kvm_event_filter.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::test {

class FakeFilterKvm final : public machine::kvm::KvmSystem {
 public:
  static constexpr int kKvm = 10, kVm = 11;

  int open_result = kKvm;
  int api = 12;
  int create_result = kVm;
  std::map<int, int> extensions{{173, 1}, {226, 1}};
  silicon::x86::Vendor vendor = silicon::x86::Vendor::kIntel;
  int load_error = 0;  ///< what every load gives, if there is one
  std::multiset<int> open_descriptors;
  unsigned loads = 0;

  int open() override {
    if (open_result >= 0) open_descriptors.insert(open_result);
    return open_result;
  }
  int call(int descriptor, unsigned long request, std::uintptr_t argument) override {
    if (request == machine::kvm::kSetPmuEventFilter) {
      EXPECT_EQ(descriptor, kVm);
      return load(reinterpret_cast<const std::byte*>(argument));
    }
    EXPECT_EQ(descriptor, kKvm);
    switch (request) {
      case KVM_GET_API_VERSION: return api;
      case KVM_CHECK_EXTENSION: return extensions[static_cast<int>(argument)];
      case KVM_CREATE_VM:
        if (create_result >= 0) open_descriptors.insert(create_result);
        return create_result;
      default: ADD_FAILURE() << request; return -ENOTTY;
    }
  }
  void close(int descriptor) override { EXPECT_EQ(open_descriptors.erase(descriptor), 1u); }

 private:
  /// What is mapped from there on.
  class Memory final : public virt::x86::FilterSource {
   public:
    explicit Memory(const std::byte* at) : at_{at} {}
    bool copy(std::size_t offset, std::span<std::byte> to) override {
      // Through a pipe: a system call that reads what is not there gives EFAULT and no signal.
      int ends[2];
      if (pipe(ends) != 0) return false;
      const bool there = write(ends[1], at_ + offset, to.size()) == std::ssize(to) &&
                         read(ends[0], to.data(), to.size()) == std::ssize(to);
      ::close(ends[0]);
      ::close(ends[1]);
      return there;
    }

   private:
    const std::byte* at_;
  };

  int load(const std::byte* at) {
    ++loads;
    if (load_error != 0) return -load_error;
    Memory memory{at};
    const auto image = read_filter_image(memory, vendor);
    return image ? 0 : -errno_of(image.error().error);
  }
};

}  // namespace vpmu::test
