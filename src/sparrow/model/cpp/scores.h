// Score every token behind some states, and say which is the most likely.

#pragma once
#include "registers.h"

constexpr int64_t SCORED = 32;  // states that are scored together

// Where the first of the highest scores stands.
inline int64_t likeliest(const float* scores, int64_t tokens) {
  float most = scores[0];
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < tokens; i++) most = std::max(most, scores[i]);
  return std::find(scores, scores + tokens, most) - scores;
}

// hidden: [N, inputs]; rows: those of it that are scored, [count]; scores: [count, wide];
// best: [count].
inline void score(const Matrix& head, const float* hidden, const int64_t* rows,
                  int64_t count, int threads, float* scores, int64_t* best) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t first = 0; first < count; first += SCORED) {
    static thread_local std::vector<float> room;
    const int64_t own = std::min(SCORED, count - first), wide = head.wide();
    float* x = at_least(room, SCORED * head.inputs);
    for (int64_t n = 0; n < own; n++)
      std::memcpy(x + n * head.inputs, hidden + rows[first + n] * head.inputs,
                  head.inputs * sizeof(float));
    product(head, x, head.inputs, own, scores + first * wide, wide);
    for (int64_t n = first; n < first + own; n++)
      best[n] = likeliest(scores + n * wide, head.outputs);
  }
}
