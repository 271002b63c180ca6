// What comes before and after a network, on the card: a picture into a network's input, a volume onto a network's grid, patches out of
// it, their answers together again, what is above a limit, and whether an answer makes sense.
//
// Each has a twin on the processor and the same order of arithmetic, so results are the same bit by bit: compile without contraction
// (--fmad=false, -ffp-contract=off). The file is plain C++ with CUDA's words, so that tests can run it without a card.
//
// One thread makes one number (`odd`: one for all). Lengths are checked by who launches (kernels_ffi.rs); what a table of indices says is checked there, too.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// The index of this thread along each axis of the grid.
#define COLUMN (blockIdx.x * blockDim.x + threadIdx.x)
#define ROW (blockIdx.y * blockDim.y + threadIdx.y)
#define SLICE (blockIdx.z * blockDim.z + threadIdx.z)

// As Rust's `clamp`: what is no number stays none.
__device__ static float clamped(float value, float low, float high) {
  if (value < low) value = low;
  if (value > high) value = high;
  return value;
}

// One pixel as full-range grey. `bytes`: 1 luma, 2 luma and chroma, 3 red, green, blue; `weights`: of the three, in 65536ths.
__device__ static u8 grey(const u8* pixel, u32 bytes, const u8* levels, int red, int green, int blue) {
  if (bytes != 3) return levels[pixel[0]];
  int sum = levels[pixel[0]] * red + levels[pixel[1]] * green + levels[pixel[2]] * blue;
  long long nearest = ((long long)sum + 32768) >> 16;
  return (u8)(nearest < 0 ? 0 : nearest > 255 ? 255 : nearest);
}

// A part of a picture into an input of `width` x `height`: each pixel the mean of the area that it covers, whole steps of 1/255.
// Shares: `first[i]` is the first pixel that input pixel i covers, its weights are `weights[start[i]..start[i + 1]]`.
extern "C" __global__ void letterbox(
    const u8* picture, u64 offset, u32 stride, u32 bytes, const u8* levels, int red, int green, int blue,
    u32 rows, const u32* across_first, const u32* across_start, const float* across_weights,
    const u32* down_first, const u32* down_start, const float* down_weights, u32 width, u32 height, float* out) {
  u32 x = COLUMN, y = ROW;
  if (x >= width || y >= height) return;
  u32 columns = across_start[x + 1] - across_start[x];
  u32 lines = down_start[y + 1] - down_start[y];
  const float* across = across_weights + across_start[x];
  const float* down = down_weights + down_start[y];
  // An empty sum is -0 in Rust.
  float mean = -0.0f;
  for (u32 i = 0; i < columns; i++) {
    float line = 0.0f;
    for (u32 j = 0; j < lines && down_first[y] + j < rows; j++) {
      u64 at = offset + (u64)(down_first[y] + j) * stride + (u64)(across_first[x] + i) * bytes;
      line += down[j] * (float)grey(picture + at, bytes, levels, red, green, blue);
    }
    mean += line * across[i];
  }
  out[(u64)y * width + x] = clamped(roundf(mean), 0.0f, 255.0f) / 255.0f;
}

__device__ static float between(float a, float b, float t) { return a + (b - a) * t; }

// Trilinear values of a volume on a grid. Taps: two neighbours along each axis of the grid and the weight of the second. `step`: from
// one voxel to the next along the axis of the volume that runs there. `axial`: the order in which the processor's twin does such volumes.
extern "C" __global__ void resample(
    const short* volume, u64 step_x, u64 step_y, u64 step_z, u32 axial,
    const u32* x_low, const u32* x_high, const float* x_part, const u32* y_low, const u32* y_high, const float* y_part,
    const u32* z_low, const u32* z_high, const float* z_part, u32 columns, u32 rows, u32 slices, float* out) {
  u32 x = COLUMN, y = ROW, z = SLICE;
  if (x >= columns || y >= rows || z >= slices) return;
  u64 xs[2] = {x_low[x] * step_x, x_high[x] * step_x};
  u64 ys[2] = {y_low[y] * step_y, y_high[y] * step_y};
  u64 zs[2] = {z_low[z] * step_z, z_high[z] * step_z};
  float tx = x_part[x], ty = y_part[y], tz = z_part[z];
  float value;
  if (axial) {
    float side[2];
    for (int i = 0; i < 2; i++) {
      float low = between(volume[xs[i] + ys[0] + zs[0]], volume[xs[i] + ys[1] + zs[0]], ty);
      float high = between(volume[xs[i] + ys[0] + zs[1]], volume[xs[i] + ys[1] + zs[1]], ty);
      side[i] = between(low, high, tz);
    }
    value = between(side[0], side[1], tx);
  } else {
    float face[2];
    for (int k = 0; k < 2; k++) {
      float low = between(volume[xs[0] + ys[0] + zs[k]], volume[xs[1] + ys[0] + zs[k]], tx);
      float high = between(volume[xs[0] + ys[1] + zs[k]], volume[xs[1] + ys[1] + zs[k]], tx);
      face[k] = between(low, high, ty);
    }
    value = between(face[0], face[1], tz);
  }
  out[((u64)z * rows + y) * columns + x] = value;
}

// The whole number nearest to each value, halves away from zero; the ends of the range beyond it, 0 for what is no number.
extern "C" __global__ void whole(const float* values, u64 count, short* out) {
  u64 i = (u64)ROW * gridDim.x * blockDim.x + COLUMN;
  if (i >= count) return;
  float value = roundf(values[i]);
  out[i] = value != value ? 0 : (short)clamped(value, -32768.0f, 32767.0f);
}

// The patch of a grid at an origin, clipped to a window and scaled to 0..1.
extern "C" __global__ void cut(
    const short* grid, u32 grid_columns, u32 grid_rows, u32 origin_x, u32 origin_y, u32 origin_z,
    u32 columns, u32 rows, u32 slices, float low, float high, float* out, u64 at) {
  u32 x = COLUMN, y = ROW, z = SLICE;
  if (x >= columns || y >= rows || z >= slices) return;
  u64 from = ((u64)(origin_z + z) * grid_rows + origin_y + y) * grid_columns + origin_x + x;
  out[at + ((u64)z * rows + y) * columns + x] = clamped(((float)grid[from] - low) / (high - low), 0.0f, 1.0f);
}

// Adds a patch's answer of one channel to the blended one, weighted by `taper` over the sum `total` of all patches' weights.
extern "C" __global__ void blend(
    const float* answer, u64 answer_at, u16* sums, u64 sums_at, u32 grid_columns, u32 grid_rows,
    u32 origin_x, u32 origin_y, u32 origin_z, u32 columns, u32 rows, u32 slices,
    const float* taper_x, const float* taper_y, const float* taper_z,
    const float* total_x, const float* total_y, const float* total_z) {
  u32 x = COLUMN, y = ROW, z = SLICE;
  if (x >= columns || y >= rows || z >= slices) return;
  float share_x = taper_x[x] / total_x[origin_x + x];
  float across = taper_y[y] / total_y[origin_y + y] * (taper_z[z] / total_z[origin_z + z]) * 65535.0f;
  float value = roundf(answer[answer_at + ((u64)z * rows + y) * columns + x] * share_x * across);
  u32 add = value != value ? 0 : (u32)clamped(value, 0.0f, 65535.0f);
  u64 to = sums_at + ((u64)(origin_z + z) * grid_rows + origin_y + y) * grid_columns + origin_x + x;
  u32 sum = sums[to] + add;
  sums[to] = (u16)(sum > 65535 ? 65535 : sum);
}

// 1 where a blended probability reaches the floor, else 0.
extern "C" __global__ void mark(const u16* values, u64 from, u64 count, u32 floor, u8* out) {
  u64 i = (u64)ROW * gridDim.x * blockDim.x + COLUMN;
  if (i < count) out[i] = values[from + i] >= floor;
}

// 1 in `found` when one of the values does not lie from `low` to `high`, or is no number. Threads that find one write the same.
extern "C" __global__ void odd(const float* values, u64 count, float low, float high, u32* found) {
  u64 i = (u64)ROW * gridDim.x * blockDim.x + COLUMN;
  if (i < count && !(values[i] >= low && values[i] <= high)) *found = 1;
}
