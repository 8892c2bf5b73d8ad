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

typedef __m512i Sums[2];

// Add four products to each sum. x: [COUNT, width], at the first of four columns.
template <int COUNT>
inline void add_four(Sums (&sum)[COUNT], const int8_t* x, int64_t width, __m512i left,
                     __m512i right) {
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) {
    int32_t four;
    std::memcpy(&four, x + row * width, sizeof four);
    const __m512i each = _mm512_set1_epi32(four);
    sum[row][0] = _mm512_dpbusd_epi32(sum[row][0], left, each);
    sum[row][1] = _mm512_dpbusd_epi32(sum[row][1], right, each);
  }
}

// Begin each sum with what the numbers added to the codes will add too much.
template <int COUNT>
inline void start(Sums (&sum)[COUNT], const int32_t* sums, int64_t step, int32_t added) {
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++)
    sum[row][0] = sum[row][1] = _mm512_set1_epi32(-added * sums[row * step]);
}

// The sum of a row, from those of its parts.
template <int PARTS>
inline __m512 together(const Sums* sum, int side) {
  const __m512 upper = _mm512_cvtepi32_ps(sum[0][side]);
  if constexpr (PARTS == 1) return upper;
  return _mm512_fmadd_ps(upper, _mm512_set1_ps(256), _mm512_cvtepi32_ps(sum[1][side]));
}

inline void put(float* to, __m512 value, bool adds) {
  _mm512_storeu_ps(to, adds ? _mm512_add_ps(_mm512_loadu_ps(to), value) : value);
}

template <int PARTS, int COUNT>
inline void bytes_tile(const int8_t* x, int64_t width, const int32_t* sums,
                       const float* steps, const char* panel, Ahead ahead,
                       const float* scale, float* out, int64_t outputs, bool adds) {
  Sums sum[COUNT * PARTS];
  start(sum, sums, 1, 128);
  for (int64_t k = 0; k < width; k += 4, panel += 4 * PANEL) {
    ahead.ask();
    add_four(sum, x + k, width, _mm512_loadu_si512(panel),
             _mm512_loadu_si512(panel + 2 * PANEL));
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++)
    for (int side = 0; side < 2; side++) {
      const __m512 times = _mm512_mul_ps(_mm512_set1_ps(steps[row]),
                                         _mm512_loadu_ps(scale + side * LANES));
      put(out + row * outputs + side * LANES,
          _mm512_mul_ps(together<PARTS>(sum + row * PARTS, side), times), adds);
    }
}

inline __m512 zeros(const int8_t* from) {
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
}

// scale, zero: [groups, PANEL]. Each byte has a code of four columns and, above it, one
// of the next four.
template <int PARTS, int COUNT>
inline void nibbles_tile(const int8_t* x, const Matrix& m, const int32_t* sums,
                         const float* steps, const char* panel, Ahead ahead,
                         const uint16_t* scale, const int8_t* zero, float* out,
                         bool adds) {
  const int64_t groups = m.groups();
  const __m512i low = _mm512_set1_epi8(15);
  __m512 total[COUNT][2];
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) total[row][0] = total[row][1] = __m512{};
  for (int64_t g = 0; g < groups; g++, scale += PANEL) {
    Sums sum[COUNT * PARTS];
    start(sum, sums + g, groups, 8);
    for (int64_t k = g * m.group; k < (g + 1) * m.group; k += 8, panel += 4 * PANEL) {
      ahead.ask();
      const __m512i left = _mm512_loadu_si512(panel);
      const __m512i right = _mm512_loadu_si512(panel + 2 * PANEL);
      const auto above = [&](__m512i both) {
        return _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
      };
      add_four(sum, x + k, m.width, _mm512_and_si512(left, low),
               _mm512_and_si512(right, low));
      add_four(sum, x + k + 4, m.width, above(left), above(right));
    }
#pragma GCC unroll 2
    for (int side = 0; side < 2; side++) {
      const __m256i* rounded = reinterpret_cast<const __m256i*>(scale + side * LANES);
      const __m512 times = _mm512_castsi512_ps(_mm512_slli_epi32(
          _mm512_cvtepu16_epi32(_mm256_loadu_si256(rounded)), 16));
      const __m512 shift = zero ? _mm512_mul_ps(zeros(zero + side * LANES), times)
                                : _mm512_setzero_ps();
#pragma GCC unroll 16
      for (int row = 0; row < COUNT; row++) {
        const int32_t* own = sums + row * PARTS * groups + g;
        const int32_t whole = PARTS == 1 ? *own : 256 * own[0] + own[groups];
        __m512& to = total[row][side];
        to = _mm512_fmadd_ps(together<PARTS>(sum + row * PARTS, side), times, to);
        to = _mm512_fnmadd_ps(_mm512_set1_ps(static_cast<float>(whole)), shift, to);
      }
    }
    if (zero) zero += PANEL;
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++)
    for (int side = 0; side < 2; side++)
      put(out + row * m.outputs + side * LANES,
          _mm512_mul_ps(total[row][side], _mm512_set1_ps(steps[row])), adds);
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
  for_tiles<PARTS == 1 ? 6 : 4>(
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
