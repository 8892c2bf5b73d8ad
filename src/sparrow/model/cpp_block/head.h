// How surprised a head is at the tokens that really came, and what it feels of that.
//
// The scores of a vocabulary are many. So some rows at a time are scored, compared and
// sent back at once, while their scores are near; nobody keeps them.

#pragma once
#include "attention.h"

constexpr int64_t SCORES = 1 << 17;  // that stay near

struct Heard {
  const float *hidden, *weight, *turned;  // [S, width], [words, width], its transpose
  const int64_t* targets;                 // [S]; a negative one counts for nothing
  int64_t width, words;
  float* to_hidden;  // [S, width]
};

// Rows from `begin` to `end`; adds to to_weight [words, width]. Returns the sum.
inline double hear(const Heard& h, int64_t begin, int64_t end, float* to_weight,
                   Buffer& room) {
  const int64_t most = std::max<int64_t>(SCORES / h.words, ROWS);
  const int words = h.words;
  float* scores = room.take(most * h.words);
  double sum = 0;
  for (int64_t at = begin, rows; at < end; at += rows) {
    rows = std::min(most, end - at);
    const From hidden = {h.hidden + at * h.width, h.width};
    product(rows, h.words, h.width, hidden, {h.turned, h.words}, {scores, h.words});
    for (int64_t n = 0; n < rows; n++) {
      float *row = scores + n * h.words, open[2];
      const int64_t target = h.targets[at + n];
      if (target < 0) {
        std::fill(row, row + words, 0.0f);
        continue;
      }
      const float own = row[target];
      open_up(row, {0, h.words - 1, h.words}, open);
      sum += open[0] - own - std::log(open[1]);
      for (int i = 0; i < words; i++) row[i] *= open[1];
      row[target] -= 1.0f;
    }
    turned_product(h.words, h.width, rows, {scores, h.words}, hidden,
                   {to_weight, h.width});
    product(rows, h.width, h.words, {scores, h.words}, {h.weight, h.width},
            {h.to_hidden + at * h.width, h.width});
  }
  return sum;
}
