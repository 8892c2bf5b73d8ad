// A few rows times one panel: a matrix's outputs that stand side by side, PANEL of them.
//
// The sums stay in registers while all inputs are added up, in order: so a row's sums do
// not depend on how many rows there are.

#pragma once
#include "lanes.h"

struct Nothing {
  void operator()() const {}
};

// x: [COUNT, inputs]; panel: [inputs, PANEL]; out: [COUNT, PANEL], or added to it.
// `meanwhile` is called once for each input, to ask memory for what comes later.
template <int COUNT, class Meanwhile = Nothing>
inline void panel_tile(const float* x, int64_t x_step, const float* panel, int64_t inputs,
                       float* out, int64_t out_step, bool adds,
                       Meanwhile meanwhile = {}) {
  Lanes sum[COUNT][2];
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) sum[row][0] = sum[row][1] = Lanes{};
  for (int64_t k = 0; k < inputs; k++, panel += PANEL) {
    meanwhile();
    const Lanes left = lanes(panel), right = lanes(panel + LANES);
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; row++) {
      const float each = x[row * x_step + k];
      sum[row][0] += each * left;
      sum[row][1] += each * right;
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) {
    Lanes &left = lanes(out + row * out_step), &right = lanes(out + row * out_step + LANES);
    left = adds ? left + sum[row][0] : sum[row][0];
    right = adds ? right + sum[row][1] : sum[row][1];
  }
}
