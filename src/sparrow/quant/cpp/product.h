// Multiply rows by a matrix of any kind.

#pragma once

#include <vector>

#include "bytes.h"
#include "floats.h"
#include "matrix.h"
#include "words.h"

// Rows as a matrix wants them.
class Rows {
 public:
  Rows(int64_t rows, std::initializer_list<Matrix> all) : steps(rows) {
    int64_t bytes = 0, groups = 0;
    for (const Matrix& m : all) {
      bytes = std::max(bytes, row_bytes(m));
      groups = std::max(groups, m.parts() * m.groups());
    }
    numbers.resize(rows * bytes), sums.resize(rows * groups);
  }

  // Put one row in its place.
  void put(const Matrix& m, int64_t n, const float* x) {
    char* to = numbers.data() + n * row_bytes(m);
    if (m.kind == FLOATS) {
      std::memcpy(to, x, m.width * sizeof(float));
      return;
    }
    float largest = TINY;
    for (int64_t k = 0; k < m.width; k++) largest = std::max(largest, std::fabs(x[k]));
    steps[n] = largest / static_cast<float>(m.most);
#ifdef __AVX512VNNI__
    if (m.kind == BYTES) {
      const auto round = m.parts() == 1 ? round_to_bytes<1> : round_to_bytes<2>;
      return round(x, m, steps[n], reinterpret_cast<int8_t*>(to),
                   &sums[n * m.parts() * m.groups()]);
    }
#endif
    round_to_words(x, m, steps[n], reinterpret_cast<int16_t*>(to));
  }

  // out = x Wᵀ, or out += x Wᵀ. All threads of a parallel region call it together.
  void times(const Matrix& m, int64_t rows, float* out, bool adds = false) const {
    const float* floats = reinterpret_cast<const float*>(numbers.data());
    if (m.kind == FLOATS) return multiply_floats(m, floats, rows, out, adds);
#ifdef __AVX512VNNI__
    if (m.kind == BYTES) {
      const int8_t* bytes = reinterpret_cast<const int8_t*>(numbers.data());
      const auto multiply = m.parts() == 1 ? multiply_bytes<1> : multiply_bytes<2>;
      return multiply(m, bytes, sums.data(), steps.data(), rows, out, adds);
    }
#endif
    const int16_t* words = reinterpret_cast<const int16_t*>(numbers.data());
    multiply_words(m, words, steps.data(), rows, out, adds);
  }

 private:
  static int64_t row_bytes(const Matrix& m) {
    if (m.kind == FLOATS) return m.width * sizeof(float);
    return m.width * (m.kind == WORDS ? sizeof(int16_t) : m.parts());
  }

  std::vector<char> numbers;
  std::vector<float> steps;
  std::vector<int32_t> sums;
};
