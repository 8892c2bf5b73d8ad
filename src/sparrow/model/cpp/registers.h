// Small steps on registers: exponentials, sums of lanes, and a vector's size.

#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "product.h"

typedef int Places __attribute__((vector_size(LANES * 4)));

inline float* at_least(std::vector<float>& room, int64_t size) {
  if (static_cast<int64_t>(room.size()) < size) room.resize(size);
  return room.data();
}

// e^x between -60 and 88, within two units in the last place; a loop of it becomes wide.
// Less than e^-60 is lost beside one, and products with it would be subnormal: slow.
inline float exponential(float x) {
  x = std::min(std::max(x, -60.0f), 88.0f);
  const float whole = std::nearbyint(x * 1.44269504f);
  const float rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
  float sum = 1.0f / 5040;
  for (const float each : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = sum * rest + each;
  const int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
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

