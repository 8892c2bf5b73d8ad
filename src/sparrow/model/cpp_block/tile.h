// Multiply matrices whose sums stay in registers while all inputs are added up, in order.
//
// One tile makes every product of a block, forward and backward: only the right matrix
// must lie row by row. So the transpose of the left one costs nothing, and a sum depends
// on nothing but its own row and column.

#pragma once
#include <cstdint>

#include "lanes.h"


// A matrix in memory: from one of its rows to the next it is `step` numbers.
struct From {
  const float* at;
  int64_t step;
};

struct To {
  float* at;
  int64_t step;
};

constexpr int64_t AHEAD = 12;  // rows of the right matrix for which memory is asked

// COUNT rows by WIDE registers. The left matrix is [rows, inputs], or its transpose.
template <bool TURNED, int WIDE, int COUNT>
inline void tile(int64_t inputs, From left, From right, To sums, bool adds) {
  Lanes sum[COUNT][WIDE];
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++)
#pragma GCC unroll 2
    for (int i = 0; i < WIDE; i++) {
      sum[row][i] = Lanes{};
      __builtin_prefetch(sums.at + row * sums.step + i * LANES, 1);
    }
  for (int64_t k = 0; k < inputs; k++) {
    Lanes own[WIDE];
#pragma GCC unroll 2
    for (int i = 0; i < WIDE; i++) {
      own[i] = lanes(right.at + i * LANES);
      __builtin_prefetch(right.at + AHEAD * right.step + i * LANES);
    }
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; row++) {
      const float each = TURNED ? left.at[row] : left.at[row * left.step];
#pragma GCC unroll 2
      for (int i = 0; i < WIDE; i++) sum[row][i] += each * own[i];
    }
    left.at += TURNED ? left.step : 1;
    right.at += right.step;
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++)
#pragma GCC unroll 2
    for (int i = 0; i < WIDE; i++) {
      Lanes& to = lanes(sums.at + row * sums.step + i * LANES);
      to = adds ? to + sum[row][i] : sum[row][i];
    }
}

template <bool TURNED, int WIDE, int COUNT>
inline void last_rows(int64_t rows, int64_t inputs, From left, From right, To sums,
                      bool adds) {
  if constexpr (COUNT > 0) {
    if (rows == COUNT)
      tile<TURNED, WIDE, COUNT>(inputs, left, right, sums, adds);
    else
      last_rows<TURNED, WIDE, COUNT - 1>(rows, inputs, left, right, sums, adds);
  }
}

template <bool TURNED, int WIDE>
inline void columns(int64_t rows, int64_t inputs, From left, From right, To sums,
                    bool adds) {
  for (; rows >= ROWS; rows -= ROWS) {
    tile<TURNED, WIDE, ROWS>(inputs, left, right, sums, adds);
    left.at += TURNED ? ROWS : ROWS * left.step;
    sums.at += ROWS * sums.step;
  }
  last_rows<TURNED, WIDE, ROWS - 1>(rows, inputs, left, right, sums, adds);
}

template <bool TURNED>
inline void any_product(int64_t rows, int64_t wide, int64_t inputs, From left,
                        From right, To sums, bool adds) {
  for (; wide >= PANEL; wide -= PANEL, right.at += PANEL, sums.at += PANEL)
    columns<TURNED, 2>(rows, inputs, left, right, sums, adds);
  if (wide > 0) columns<TURNED, 1>(rows, inputs, left, right, sums, adds);
}

// sums [rows, wide] = left [rows, inputs] · right [inputs, wide], or added to them.
// `wide` is a multiple of 16.
inline void product(int64_t rows, int64_t wide, int64_t inputs, From left, From right,
                    To sums, bool adds = false) {
  any_product<false>(rows, wide, inputs, left, right, sums, adds);
}

// sums [rows, wide] += left [inputs, rows]ᵀ · right [inputs, wide], or = it.
inline void turned_product(int64_t rows, int64_t wide, int64_t inputs, From left,
                           From right, To sums, bool adds = true) {
  any_product<true>(rows, wide, inputs, left, right, sums, adds);
}

// to [LANES, LANES] = from, turned: halves change places, then halves of halves.
inline void turn_tile(From from, To to) {
  typedef int Places __attribute__((vector_size(LANES * 4)));
  Lanes row[LANES];
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++) row[i] = lanes(from.at + i * from.step);
#pragma GCC unroll 4
  for (int half = 1; half < LANES; half *= 2) {
    Places first, second;
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
      first[i] = i & half ? i - half + LANES : i;
      second[i] = i & half ? i + LANES : i + half;
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
      if (i & half) continue;
      const Lanes upper = row[i], lower = row[i + half];
      row[i] = __builtin_shuffle(upper, lower, first);
      row[i + half] = __builtin_shuffle(upper, lower, second);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++) lanes(to.at + i * to.step) = row[i];
}

// to [wide, rows] = from [rows, wide], turned; `wide` is a multiple of 16.
inline void turn_over(int64_t rows, int64_t wide, From from, To to) {
  int64_t row = 0;
  for (; row + LANES <= rows; row += LANES)
    for (int64_t i = 0; i + LANES <= wide; i += LANES)
      turn_tile({from.at + row * from.step + i, from.step},
                {to.at + i * to.step + row, to.step});
  for (; row < rows; row++)
    for (int64_t i = 0; i < wide; i++)
      to.at[i * to.step + row] = from.at[row * from.step + i];
}
