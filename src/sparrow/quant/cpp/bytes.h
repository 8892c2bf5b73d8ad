// Multiply rows by a matrix of few bits, four bytes at a time, where the processor can.
//
// The instruction takes bytes without a sign from the matrix and bytes with one from
// the row. So 128 (or 8) is added to each code, and what that adds to a sum is taken
// away again. A row of more than 8 bits is two rows of bytes: its upper and lower ones.

#pragma once

#include "matrix.h"

#ifdef __AVX512VNNI__

// Sixteen whole numbers as bytes.
inline void put_bytes(int8_t* to, __m512i whole) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole));
}

// A row as whole numbers, and for each group their sums.
// to: [PARTS, width]; sums: [PARTS, groups].
template <int PARTS>
inline void round_to_bytes(const float* x, const Matrix& m, float step, int8_t* to,
                           int32_t* sums) {
  const int64_t groups = m.groups(), length = m.width / groups;
  const __m512 times = _mm512_set1_ps(1 / step);
  for (int64_t g = 0; g < groups; g++) {
    __m512i upper = _mm512_setzero_si512(), lower = upper;
    for (int64_t k = g * length; k < (g + 1) * length; k += LANES) {
      const __m512i whole =
          _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + k), times));
      __m512i above = whole;
      if constexpr (PARTS == 2) {
        above = _mm512_srai_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(128)), 8);
        const __m512i below = _mm512_sub_epi32(whole, _mm512_slli_epi32(above, 8));
        put_bytes(to + m.width + k, below);
        lower = _mm512_add_epi32(lower, below);
      }
      put_bytes(to + k, above);
      upper = _mm512_add_epi32(upper, above);
    }
    sums[g] = _mm512_reduce_add_epi32(upper);
    if constexpr (PARTS == 2) sums[groups + g] = _mm512_reduce_add_epi32(lower);
  }
}

// Four bytes of a row, in all places.
inline __m512i four(const int8_t* x) {
  int32_t bytes;
  std::memcpy(&bytes, x, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}

// Add four products to each sum, in its own register: the compiler would copy it.
inline void add_products(__m512i& sum, __m512i codes, __m512i row) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(row));
}

// A row's sums, from those of its parts.
template <int PARTS>
inline __m512 together(__m512i first, __m512i second) {
  const __m512 upper = _mm512_cvtepi32_ps(first);
  if constexpr (PARTS == 1) return upper;
  return _mm512_fmadd_ps(upper, _mm512_set1_ps(256), _mm512_cvtepi32_ps(second));
}

// The rounding is written out: where the compiler may choose, it does so for each tile.
inline void put(float* to, __m512 sum, __m512 times, bool adds) {
  _mm512_storeu_ps(to, adds ? _mm512_fmadd_ps(sum, times, _mm512_loadu_ps(to))
                            : _mm512_mul_ps(sum, times));
}

// The loops below stand in one function each, so that all sums stay in registers.
template <int PARTS, int COUNT>
inline void bytes_tile(const int8_t* x, int64_t width, const int32_t* sums,
                       const float* steps, const char* panel, Ahead ahead,
                       const float* scale, float* out, int64_t outputs, bool adds) {
  constexpr int SUMS = COUNT * PARTS;
  __m512i left[SUMS], right[SUMS];
#pragma GCC unroll 16
  for (int i = 0; i < SUMS; i++)  // without what 128 will add too much
    left[i] = right[i] = _mm512_set1_epi32(-128 * sums[i]);
  for (int64_t k = 0; k < width; k += 4, panel += 4 * PANEL) {
    ahead.ask();
    const __m512i one = _mm512_loadu_si512(panel);
    const __m512i other = _mm512_loadu_si512(panel + 2 * PANEL);
#pragma GCC unroll 16
    for (int i = 0; i < SUMS; i++) {
      const __m512i each = four(x + i * width + k);
      add_products(left[i], one, each);
      add_products(right[i], other, each);
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) {
    const int i = row * PARTS, last = i + PARTS - 1;
    const __m512 step = _mm512_set1_ps(steps[row]);
    float* to = out + row * outputs;
    put(to, together<PARTS>(left[i], left[last]),
        _mm512_mul_ps(step, _mm512_loadu_ps(scale)), adds);
    put(to + LANES, together<PARTS>(right[i], right[last]),
        _mm512_mul_ps(step, _mm512_loadu_ps(scale + LANES)), adds);
  }
}

inline __m512 zeros(const int8_t* from) {
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
}

inline __m512 widened(const uint16_t* upper) {  // bfloat16
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(upper));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

// scale, zero: [groups, PANEL]. Each byte has a code of four columns and, above it, one
// of the next four.
template <int PARTS, int COUNT>
inline void nibbles_tile(const int8_t* x, const Matrix& m, const int32_t* sums,
                         const float* steps, const char* panel, Ahead ahead,
                         const uint16_t* scale, const int8_t* zero, float* out,
                         bool adds) {
  constexpr int SUMS = COUNT * PARTS;
  const int64_t groups = m.groups(), width = m.width;
  const __m512i low = _mm512_set1_epi8(15);
  __m512 total_left[COUNT], total_right[COUNT];
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) total_left[row] = total_right[row] = __m512{};
  for (int64_t g = 0; g < groups; g++, scale += PANEL) {
    __m512i left[SUMS], right[SUMS];
#pragma GCC unroll 16
    for (int i = 0; i < SUMS; i++)  // without what 8 will add too much
      left[i] = right[i] = _mm512_set1_epi32(-8 * sums[i * groups + g]);
    for (int64_t k = g * m.group; k < (g + 1) * m.group; k += 8, panel += 4 * PANEL) {
      ahead.ask();
      const __m512i one = _mm512_loadu_si512(panel);
      const __m512i other = _mm512_loadu_si512(panel + 2 * PANEL);
      const __m512i lower_one = _mm512_and_si512(one, low);
      const __m512i lower_other = _mm512_and_si512(other, low);
      const __m512i upper_one = _mm512_and_si512(_mm512_srli_epi16(one, 4), low);
      const __m512i upper_other = _mm512_and_si512(_mm512_srli_epi16(other, 4), low);
#pragma GCC unroll 16
      for (int i = 0; i < SUMS; i++) {
        const __m512i each = four(x + i * width + k);
        add_products(left[i], lower_one, each);
        add_products(right[i], lower_other, each);
        const __m512i next = four(x + i * width + k + 4);
        add_products(left[i], upper_one, next);
        add_products(right[i], upper_other, next);
      }
    }
    const __m512 times_left = widened(scale), times_right = widened(scale + LANES);
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; row++) {
      const int i = row * PARTS, last = i + PARTS - 1;
      total_left[row] = _mm512_fmadd_ps(together<PARTS>(left[i], left[last]),
                                        times_left, total_left[row]);
      total_right[row] = _mm512_fmadd_ps(together<PARTS>(right[i], right[last]),
                                         times_right, total_right[row]);
    }
    if (!zero) continue;
    const __m512 shift_left = _mm512_mul_ps(zeros(zero), times_left);
    const __m512 shift_right = _mm512_mul_ps(zeros(zero + LANES), times_right);
    zero += PANEL;
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; row++) {
      const int32_t* own = sums + row * PARTS * groups + g;
      const int32_t whole = PARTS == 1 ? *own : 256 * own[0] + own[groups];
      const __m512 sum = _mm512_set1_ps(static_cast<float>(whole));
      total_left[row] = _mm512_fnmadd_ps(sum, shift_left, total_left[row]);
      total_right[row] = _mm512_fnmadd_ps(sum, shift_right, total_right[row]);
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) {
    const __m512 step = _mm512_set1_ps(steps[row]);
    put(out + row * m.outputs, total_left[row], step, adds);
    put(out + row * m.outputs + LANES, total_right[row], step, adds);
  }
}

template <int PARTS>
inline void multiply_bytes(const Matrix& m, const int8_t* x, const int32_t* sums,
                           const float* steps, int64_t rows, float* out, bool adds) {
  const int64_t groups = m.groups();
  if (!m.group)
    return for_tiles<ROWS / PARTS>(
        m, rows, m.width * PANEL, m.width / 4,
        [&]<int COUNT>(int64_t first, int64_t row, const char* panel, Ahead ahead) {
          bytes_tile<PARTS, COUNT>(x + row * PARTS * m.width, m.width, sums + row * PARTS, steps + row,
                                   panel, ahead,
                                   static_cast<const float*>(m.scale) + first,
                                   out + row * m.outputs + first, m.outputs, adds);
        });
  for_tiles<6 / PARTS>(
      m, rows, m.width * PANEL / 2, m.width / 8,
      [&]<int COUNT>(int64_t first, int64_t row, const char* panel, Ahead ahead) {
        nibbles_tile<PARTS, COUNT>(
            x + row * PARTS * m.width, m, sums + row * PARTS * groups, steps + row, panel, ahead,
            static_cast<const uint16_t*>(m.scale) + first * groups,
            m.zero ? m.zero + first * groups : nullptr, out + row * m.outputs + first,
            adds);
      });
}

#endif
