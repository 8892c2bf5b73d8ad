// Small steps on registers: sums of lanes, and a vector's size.

#pragma once
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "exponential.h"
#include "product.h"

typedef int Places __attribute__((vector_size(LANES * 4)));

inline float* at_least(std::vector<float>& room, int64_t size) {
  if (static_cast<int64_t>(room.size()) < size) room.resize(size);
  return room.data();
}

// Halves of one register and of another, added: lane l has l + (l ^ HALF) of the first
// where l lacks the bit HALF, and of the second where it has it.
template <int HALF, int... LANE>
inline Lanes fold(Lanes first, Lanes second, std::integer_sequence<int, LANE...>) {
  return __builtin_shufflevector(first, second,
                                 (LANE & HALF ? LANES + LANE : LANE)...) +
         __builtin_shufflevector(first, second,
                                 (LANE ^ HALF) + (LANE & HALF ? LANES : 0)...);
}

// The sums of as many registers as one has lanes, side by side; they are used up.
template <int HALF = LANES / 2>
inline Lanes totals(Lanes (&each)[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < HALF; i++)
    each[i] = fold<HALF>(each[i], each[i + HALF],
                         std::make_integer_sequence<int, LANES>());
  if constexpr (HALF > 1)
    return totals<HALF / 2>(each);
  else
    return each[0];
}

// The lanes, so many places on: the last become the first.
inline Lanes turned(Lanes x, int places) {
  Places from;
  for (int lane = 0; lane < LANES; lane++) from[lane] = (lane + places) % LANES;
  return __builtin_shuffle(x, from);
}

// RMSNorm without its scale.
inline void unit(const float* x, int64_t width, float eps, float* to) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < width; i++) squares += x[i] * x[i];
  const float times = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
  for (int64_t i = 0; i < width; i++) to[i] = x[i] * times;
}

