// Multiply rows by a matrix of few bits on any processor with AVX2.
//
// The matrix is as PyTorch keeps it, row by row. Rows are whole numbers of 16 bits.

#pragma once

#include "matrix.h"

constexpr int TAKEN = 8;  // rows of the matrix that a thread takes at a time
constexpr int64_t WIDEST = 8192;
constexpr int64_t AHEAD = 4096;      // bytes: memory is asked for them in advance
constexpr int64_t WIDE = 16;         // whole numbers in a register
constexpr int64_t STRIDE = 2 * WIDE;  // codes of four bits that are read at once

inline __m256i add_products(__m256i sum, __m256i a, __m256i b) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
  return _mm256_dpwssd_epi32(sum, a, b);
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

inline __m128i bytes(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

inline __m256i numbers(const int16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

inline float total(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

inline int32_t total(__m256i x) {
  __m128i half =
      _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

// H rows of a matrix with one scale each, times R rows: H · R sums in registers.
template <int H, int R>
__attribute__((noinline)) void times_bytes(const uint8_t* codes, const int16_t* x,
                                           int64_t width, float* out) {
  __m256i sum[H][R] = {};
  for (int64_t k = 0; k < width; k += WIDE) {
    __m256i code[H];
    for (int i = 0; i < H; i++) {
      code[i] = _mm256_cvtepi8_epi16(bytes(codes + i * width + k));
      if (R == 1) ask_for(codes + i * width + k + AHEAD);
    }
    for (int r = 0; r < R; r++) {
      const __m256i row = numbers(x + r * width + k);
      for (int i = 0; i < H; i++) sum[i][r] = add_products(sum[i][r], code[i], row);
    }
  }
  for (int i = 0; i < H; i++)
    for (int r = 0; r < R; r++) out[i * R + r] = static_cast<float>(total(sum[i][r]));
}

// Of 32 codes, two a byte, those at even places come first, then those at odd ones.
struct Nibbles {
  const uint8_t* codes;
  const int16_t* zeros;
  int64_t width, groups;
  template <int HALF>
  __m256i at(int64_t i, int64_t k, int64_t g) const {
    const __m256i both = _mm256_cvtepu8_epi16(bytes(codes + (i * width + k) / 2));
    const __m256i code = HALF ? _mm256_srli_epi16(both, 4)
                              : _mm256_and_si256(both, _mm256_set1_epi16(15));
    return _mm256_sub_epi16(code, _mm256_set1_epi16(zeros[i * groups + g]));
  }
  void ask(int64_t i, int64_t k) const { ask_for(codes + (i * width + k) / 2 + AHEAD); }
};

// The same after they were spread out, since many rows need them.
struct Spread {
  const int16_t* codes;
  int64_t width;
  template <int HALF>
  __m256i at(int64_t i, int64_t k, int64_t) const {
    return numbers(codes + i * width + k + HALF * WIDE);
  }
  void ask(int64_t, int64_t) const {}
};

// H rows of a matrix with a scale for each group, times R rows.
template <int H, int R, class Codes>
__attribute__((noinline)) void times_groups(Codes w, int64_t first,
                                            const int32_t* scale, const int16_t* x, int64_t width,
                                            int64_t group, float* out) {
  const int64_t groups = width / group;
  __m256 sum[H][R] = {};
  for (int64_t g = 0; g < groups; g++) {
    __m256i part[H][R] = {};
    for (int64_t k = g * group; k < (g + 1) * group; k += STRIDE)
      for (int i = 0; i < H; i++) {
        const __m256i even = w.template at<0>(first + i, k, g);
        const __m256i odd = w.template at<1>(first + i, k, g);
        if (R == 1) w.ask(first + i, k);
        for (int r = 0; r < R; r++) {
          const int16_t* row = x + r * width + k;
          part[i][r] = add_products(part[i][r], even, numbers(row));
          part[i][r] = add_products(part[i][r], odd, numbers(row + WIDE));
        }
      }
    for (int i = 0; i < H; i++) {
      const __m256 step =
          _mm256_castsi256_ps(_mm256_set1_epi32(scale[(first + i) * groups + g]));
      for (int r = 0; r < R; r++)
        sum[i][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(part[i][r]), step, sum[i][r]);
    }
  }
  for (int i = 0; i < H; i++)
    for (int r = 0; r < R; r++) out[i * R + r] = total(sum[i][r]);
}

// A few rows of a matrix: those of four bits with scales and zeros made ready.
struct Taken {
  alignas(64) int16_t room[TAKEN * WIDEST];
  alignas(64) int32_t scale[TAKEN * WIDEST / STRIDE];  // bits of floats
  alignas(64) int16_t zero[TAKEN * WIDEST / STRIDE];
  const Matrix& m;
  const bool spreads;
  const uint8_t* codes = nullptr;

  Taken(const Matrix& matrix, int64_t rows) : m(matrix), spreads(rows > 4) {}

  Nibbles nibbles() const { return {codes, zero, m.width, m.width / m.group}; }

  void open(int64_t first) {
    codes = reinterpret_cast<const uint8_t*>(m.numbers) +
            first * m.width / (m.group ? 2 : 1);
    if (!m.group) return;
    const int64_t groups = m.width / m.group;
    const uint16_t* rounded = static_cast<const uint16_t*>(m.scale) + first * groups;
    for (int64_t g = 0; g < TAKEN * groups; g++) scale[g] = int32_t{rounded[g]} << 16;
    const int8_t* zeros = m.zero + first * groups;
    if (m.zero)
      for (int64_t g = 0; g < TAKEN * groups; g++) zero[g] = 8 + zeros[g];
    else
      std::fill_n(zero, TAKEN * groups, int16_t{8});
    if (!spreads) return;
    const Nibbles from = nibbles();
    for (int64_t i = 0; i < TAKEN; i++)
      for (int64_t g = 0, k = 0; g < groups; g++)
        for (const int64_t end = k + m.group; k < end; k += STRIDE) {
          __m256i* to = reinterpret_cast<__m256i*>(room + i * m.width + k);
          _mm256_storeu_si256(to, from.at<0>(i, k, g));
          _mm256_storeu_si256(to + 1, from.at<1>(i, k, g));
        }
  }

  // Rows `first` to `first + H` of the panel, times R rows.
  template <int H, int R>
  void times(int64_t first, const int16_t* x, float* out) const {
    if (!m.group)
      times_bytes<H, R>(codes + first * m.width, x, m.width, out);
    else if (spreads)
      times_groups<H, R>(Spread{room, m.width}, first, scale, x, m.width, m.group, out);
    else
      times_groups<H, R>(nibbles(), first, scale, x, m.width, m.group, out);
  }
};

inline void multiply_words(const Matrix& m, const int16_t* x, const float* x_scale,
                     int64_t rows, float* out, bool adds) {
  Taken taken(m, rows);
  // The rounding is written out: where the compiler may choose, it does so for each block.
  const auto put = [&](int64_t n, int64_t o, float value) {
    if (!m.group) value *= static_cast<const float*>(m.scale)[o];
    float& to = out[n * m.outputs + o];
    to = adds ? std::fma(value, x_scale[n], to) : value * x_scale[n];
  };
  const auto block = [&]<int H, int R>(int64_t n, int64_t first, int64_t i) {
    float found[H * R];
    taken.times<H, R>(i, x + n * m.width, found);
    for (int r = 0; r < R; r++)
      for (int h = 0; h < H; h++) put(n + r, first + i + h, found[h * R + r]);
  };
#pragma omp for schedule(static)
  for (int64_t first = 0; first < m.outputs; first += TAKEN) {
    taken.open(first);
    int64_t n = 0;
    for (; n + 4 <= rows; n += 4)
      for (int64_t i = 0; i < TAKEN; i += 2)
        block.template operator()<2, 4>(n, first, i);
    for (; n < rows; n++)
      for (int64_t i = 0; i < TAKEN; i += 4)
        block.template operator()<4, 1>(n, first, i);
  }
}

// One row as whole numbers, in the order in which the matrix gives its codes.
inline void round_to_words(const float* x, const Matrix& m, float step, int16_t* to) {
  if (!m.group) {
    for (int64_t k = 0; k < m.width; k++)
      to[k] = static_cast<int16_t>(std::nearbyint(x[k] / step));
    return;
  }
  for (int64_t k = 0; k < m.width; k += STRIDE)
    for (int64_t i = 0; i < WIDE; i++) {
      to[k + i] = static_cast<int16_t>(std::nearbyint(x[k + 2 * i] / step));
      to[k + WIDE + i] = static_cast<int16_t>(std::nearbyint(x[k + 2 * i + 1] / step));
    }
}
