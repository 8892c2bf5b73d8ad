// The small steps of a block on one token each, and their gradients.

#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "bounded_exponential.h"

// e^x between -87 and 88, within two units in the last place; a loop of it becomes wide.
// What is not a number stays none: a run that went wrong must be seen.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  return bounded_exponential(x);
}

inline float dot(const float* a, const float* b, int64_t size) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += a[i] * b[i];
  return sum;
}

inline void add(const float* x, float* to, int64_t size) {
  for (int64_t i = 0; i < size; i++) to[i] += x[i];
}

// RMSNorm; returns what x was multiplied by before the scale.
inline float norm(const float* x, const float* scale, int64_t size, float eps,
                  float* to) {
  const float times =
      1.0f / std::sqrt(dot(x, x, size) / static_cast<float>(size) + eps);
  for (int64_t i = 0; i < size; i++) to[i] = x[i] * times * scale[i];
  return times;
}

// The same again, where `times` is known.
inline void scaled(const float* x, const float* scale, float times, int64_t size,
                   float* to) {
  for (int64_t i = 0; i < size; i++) to[i] = x[i] * times * scale[i];
}

// What x and the scale feel of `feels`, which the norm's result feels.
// to = x's, plus `besides`; felt_scale += the scale's.
inline void norm_back(const float* x, const float* scale, float times,
                      const float* feels, const float* besides, int64_t size, float* to,
                      float* felt_scale) {
  float along = 0;
#pragma omp simd reduction(+ : along)
  for (int64_t i = 0; i < size; i++) along += feels[i] * scale[i] * x[i];
  along *= times * times * times / static_cast<float>(size);
#pragma omp simd
  for (int64_t i = 0; i < size; i++) {
    felt_scale[i] += feels[i] * x[i] * times;
    to[i] = (besides ? besides[i] : 0.0f) + feels[i] * scale[i] * times - x[i] * along;
  }
}

// Turn pairs of neighbours by their angles, to and fro; then multiply.
inline void turn(float* x, const float* cos, const float* sin, float direction,
                 int64_t size, float times) {
  for (int64_t i = 0; i < size / 2; i++) {
    const float a = x[2 * i], b = x[2 * i + 1], up = direction * sin[i];
    x[2 * i] = (a * cos[i] - b * up) * times;
    x[2 * i + 1] = (a * up + b * cos[i]) * times;
  }
}

// gate_up: [2, half]; inner = silu(gate) · up · weight.
inline void swiglu(const float* gate_up, float weight, int64_t half, float* inner) {
  const float* up = gate_up + half;
#pragma omp simd
  for (int64_t i = 0; i < half; i++)
    inner[i] = gate_up[i] / (1.0f + exponential(-gate_up[i])) * up[i] * weight;
}

// felt: [half], what `inner` feels, without the weight; changes: [2, half], what gate_up
// feels; inner is made again. Returns what the weight feels.
inline float swiglu_back(const float* gate_up, const float* felt, float weight,
                         int64_t half, float* inner, float* changes) {
  const float* up = gate_up + half;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < half; i++) {
    const float open = 1.0f / (1.0f + exponential(-gate_up[i]));
    const float silu = gate_up[i] * open;
    sum += felt[i] * silu * up[i];
    inner[i] = silu * up[i] * weight;
    changes[i] = felt[i] * up[i] * weight * (open + silu * (1.0f - open));
    changes[half + i] = felt[i] * silu * weight;
  }
  return sum;
}
