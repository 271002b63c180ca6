// CUDA's words in plain C++: with this, a kernel is a function that runs once for each thread of a grid, in loops.
#pragma once
#include <cmath>
#include <cstddef>
#include <tuple>
#include <utility>

#define __global__
#define __device__

struct Index3 {
  unsigned x, y, z;
};
static Index3 blockIdx, threadIdx, blockDim, gridDim;

// Runs a kernel with arguments as the driver gets them: one pointer for each, of the type that the kernel's own signature says.
template <class... A, std::size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<A*>(arguments[I])...);
}

template <class... A>
void run(void (*kernel)(A...), Index3 grid, Index3 block, void** arguments) {
  gridDim = grid;
  blockDim = block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
        for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
          for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
            for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++)
              call(kernel, arguments, std::index_sequence_for<A...>());
}

template <class... A>
std::size_t count(void (*)(A...)) {
  return sizeof...(A);
}
// Copies what the arguments point to, as the driver does when a kernel is started.
template <class... A>
void sizes(void (*)(A...), std::size_t* out) {
  for (std::size_t size : {sizeof(A)...}) *out++ = size;
}
