// What a block is, and where the numbers of one call lie.

#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tile.h"

// Must be as in `native_block.py`.
struct Sizes {
  int64_t texts, tokens;  // texts of so many tokens each
  int64_t width, heads, nope, turned, value, rank;
  int64_t experts, chosen, inner;  // routed experts; 0: none
  int64_t for_all;                 // inner size of the dense or the shared part; 0: none
  int64_t has_unit_weights, has_own_turn, has_window, has_own_window;
  float eps, latent_eps, scale, times, tiny;

  int64_t query() const { return nope + turned; }
  int64_t queries() const { return heads * query(); }
  int64_t joint() const { return queries() + rank + turned; }
  int64_t pair() const { return nope + value; }
  int64_t pairs() const { return heads * pair(); }
  int64_t values() const { return heads * value; }
  int64_t logits() const { return (experts + 15) / 16 * 16; }
};

constexpr int MATRICES = 13;

// Weights in the order of `native_block.py`, or what they feel, or their transposes.
struct Weights {
  float *norm, *query, *down, *latent_norm, *up, *out, *middle_norm;
  float *gate, *gate_up, *experts_down;         // of routed experts
  float *all_gate, *all_up, *all_down;  // of the dense or the shared part
};

// What the way back needs of the way forward. S tokens, each with A pieces of work.
struct Kept {
  float *first, *latent, *second;  // the norms' factors: [S]
  float* joint;   // queries, turned and scaled; latent before its norm; key: [S, joint]
  float* pairs;   // keys and values of each head: [S, heads, nope + value]
  float* opens;   // of each softmax: the largest score, and 1 / sum: [S, heads, 2]
  float* mixed;   // what attention found: [S, heads, value]
  float* middle;  // between the two halves: [S, width]
  float* gated;   // the pieces of a chunk, expert by expert: [S · A, 2 · inner]
  float* all;     // [S, 2 · for_all]
  float* weights;  // of the chosen experts: [S, A]
};

// A buffer that grows and stays. It begins where a line of the cache begins.
struct Buffer {
  std::vector<float> held;

  float* take(int64_t size) {
    constexpr size_t LINE = 64;
    if (held.size() < size + LINE) held.resize(size + LINE);
    const auto at = reinterpret_cast<uintptr_t>(held.data());
    return reinterpret_cast<float*>((at + LINE - 1) / LINE * LINE);
  }
};

// Rows a little apart, so that they do not fall on the same places of the cache.
constexpr int64_t APART = 16;

struct Rows {
  Buffer held;
  To at{};

  To take(int64_t rows, int64_t wide) {
    at = {held.take(rows * (wide + APART)), wide + APART};
    return at;
  }
  float* operator[](int64_t row) const { return at.at + row * at.step; }
  From all() const { return {at.at, at.step}; }
  From from(int64_t column) const { return {at.at + column, at.step}; }
};

// Room for the numbers of one chunk; each thread has its own.
struct Room {
  Rows x, latent, logits, sorted, inner, answers;            // both ways
  Rows changes, felt, felt_sorted, middle, mixed, joint, pairs;  // only back
  Buffer keys, turned_keys, turned_values, scores, slopes, felt_keys, felt_weights;
  std::vector<int64_t> order, begins;
};

// One call: what all parts of the work share.
struct Call {
  Sizes s;
  const float *hidden, *cos, *sin, *bias;
  const int64_t* firsts;  // [1 or B, T], the first place each may look at; none: 0
  float *out, *scores;    // [S, width], [S, experts]
  int64_t* experts;       // [S, A]
  Weights weights, turned;
  Kept kept;
};

// Some texts that go through the block together: tokens from `begin`, `rows` of them.
struct Chunk {
  int64_t text, texts, begin, rows;
  bool is_first;  // of a part: what matrices feel is set, and later added to
};
