// One head of one text looks back, without ever making a score that nobody reads.
//
// Queries go in small blocks. A block reads the keys from the first place that its first
// query may look at: so documents that stand in one row cost nothing to each other.

#pragma once
#include <cfloat>

#include "block.h"
#include "parts.h"

constexpr int64_t QUERIES = 48;  // in a block, at most

// One head of one text: where its numbers lie.
struct Head {
  const Sizes& s;
  const int64_t* firsts;
  const float *query, *key, *pair;  // first token's; steps: joint, joint, pairs
  int64_t wide;                     // of a row of scores
  From turned_keys;                 // [nope + turned, T]

  int64_t first(int64_t t) const { return firsts ? firsts[t] : 0; }

  // Where the block that begins at `t` ends: before the next document.
  int64_t end(int64_t t) const {
    int64_t until = t + 1;
    while (until < s.tokens && until < t + QUERIES && first(until) < t + 1) until++;
    return until;
  }
};

inline int64_t full(int64_t columns) { return (columns + 15) / 16 * 16; }

inline Head head_of(const Call& call, int64_t text, int64_t head, Room& room) {
  const Sizes& s = call.s;
  const int64_t begin = text * s.tokens, wide = full(s.tokens) + 3 * APART;
  const float* joint = call.kept.joint + begin * s.joint();
  const float* pair = call.kept.pairs + begin * s.pairs() + head * s.pair();
  const float* key = joint + s.queries() + s.rank;
  float* keys = room.turned_keys.take(s.query() * wide);
  turn_over(s.tokens, s.nope, {pair, s.pairs()}, {keys, wide});
  turn_over(s.tokens, s.turned, {key, s.joint()}, {keys + s.nope * wide, wide});
  const int64_t* firsts = call.firsts;
  if (firsts && s.has_own_window) firsts += begin;
  return {s, firsts, joint + head * s.query(), key, pair, wide, {keys, wide}};
}

// Scores of the queries from `t` to `end`, for the keys from `left`: [., end - left].
inline void scores_of(const Head& h, int64_t t, int64_t end, int64_t left, To scores) {
  product(end - t, full(end - left), h.s.query(),
          {h.query + t * h.s.joint(), h.s.joint()},
          {h.turned_keys.at + left, h.turned_keys.step}, scores);
}

// Columns that one query may look at, of a row of `wide` scores: a multiple of 16, so
// that nothing is left over at its end.
struct Seen {
  int64_t first, last, wide;
};

// Softmax without its last product, with open[1]; 0 where nobody looks.
inline void open_up(float* row, const Seen& seen, float* open) {
  const int first = seen.first, last = seen.last, wide = seen.wide;
  float most = row[last], sum = 0;
#pragma omp simd reduction(max : most)
  for (int c = 0; c < wide; c++) {
    const float own = (c >= first) & (c <= last) ? row[c] : -FLT_MAX;
    most = own > most ? own : most;
  }
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < wide; c++) {
    const float own = exponential(row[c] - most);
    row[c] = (c >= first) & (c <= last) ? own : 0.0f;
    sum += row[c];
  }
  open[0] = most, open[1] = 1.0f / sum;
}

// The same weights again, whole, from scores in `row`; slope: what weights feel, and
// then what scores feel.
inline void slope_of(float* row, float* slope, const Seen& seen, const float* open,
                     float mean) {
  const int first = seen.first, last = seen.last, wide = seen.wide;
  const float most = open[0], share = open[1];
#pragma omp simd
  for (int c = 0; c < wide; c++) {
    const float own = exponential(row[c] - most) * share;
    row[c] = (c >= first) & (c <= last) ? own : 0.0f;
    slope[c] = (c >= first) & (c <= last) ? own * (slope[c] - mean) : 0.0f;
  }
}

// mixed: [T, heads, value], this head's part; opens: [T, heads, 2], its softmaxes.
inline void look(const Head& h, To mixed, To opens, Room& room) {
  const Sizes& s = h.s;
  float* scores = room.scores.take(QUERIES * h.wide);
  for (int64_t t = 0, end; t < s.tokens; t = end) {
    end = h.end(t);
    const int64_t left = h.first(t);
    scores_of(h, t, end, left, {scores, h.wide});
    for (int64_t q = t; q < end; q++) {
      const Seen seen = {h.first(q) - left, q - left, full(end - left)};
      open_up(scores + (q - t) * h.wide, seen, opens.at + q * opens.step);
    }
    To to = {mixed.at + t * mixed.step, mixed.step};
    product(end - t, s.value, end - left, {scores, h.wide},
            {h.pair + left * s.pairs() + s.nope, s.pairs()}, to);
    for (int64_t q = t; q < end; q++, to.at += to.step) {
      const float share = opens.at[q * opens.step + 1];
      for (int64_t i = 0; i < s.value; i++) to.at[i] *= share;
    }
  }
}

// What the head's queries, keys and values feel of `felt`, which `mixed` feels.
// to_query: [T, .]; to_pair: [T, nope + value], set to zero before; to_key: [T, turned],
// which all heads share and add to.
inline void look_back(const Head& h, From mixed, From opens, From felt, To to_query,
                      To to_pair, To to_key, Room& room) {
  const Sizes& s = h.s;
  const int64_t query = s.query();
  float* keys = room.keys.take(s.tokens * query);
  float* felt_keys = room.felt_keys.take(s.tokens * query);
  std::fill(felt_keys, felt_keys + s.tokens * query, 0.0f);
  for (int64_t t = 0; t < s.tokens; t++) {
    std::memcpy(keys + t * query, h.pair + t * s.pairs(), s.nope * sizeof(float));
    std::memcpy(keys + t * query + s.nope, h.key + t * s.joint(),
                s.turned * sizeof(float));
  }
  float* values = room.turned_values.take(s.value * h.wide);
  turn_over(s.tokens, s.value, {h.pair + s.nope, s.pairs()}, {values, h.wide});
  float* scores = room.scores.take(QUERIES * h.wide);
  float* slopes = room.slopes.take(QUERIES * h.wide);
  for (int64_t t = 0, end; t < s.tokens; t = end) {
    end = h.end(t);
    const int64_t left = h.first(t), rows = end - t, count = end - left;
    const From own_felt = {felt.at + t * felt.step, felt.step};
    const From queries = {h.query + t * s.joint(), s.joint()};
    scores_of(h, t, end, left, {scores, h.wide});
    product(rows, full(count), s.value, own_felt, {values + left, h.wide},
            {slopes, h.wide});
    for (int64_t q = t; q < end; q++)
      slope_of(scores + (q - t) * h.wide, slopes + (q - t) * h.wide,
               {h.first(q) - left, q - left, full(count)}, opens.at + q * opens.step,
               dot(felt.at + q * felt.step, mixed.at + q * mixed.step, s.value));
    turned_product(count, s.value, rows, {scores, h.wide}, own_felt,
                   {to_pair.at + left * to_pair.step + s.nope, to_pair.step});
    product(rows, query, count, {slopes, h.wide}, {keys + left * query, query},
            {to_query.at + t * to_query.step, to_query.step});
    turned_product(count, query, rows, {slopes, h.wide}, queries,
                   {felt_keys + left * query, query});
  }
  for (int64_t t = 0; t < s.tokens; t++) {
    const float* key = felt_keys + t * query;
    add(key, to_pair.at + t * to_pair.step, s.nope);
    add(key + s.nope, to_key.at + t * to_key.step, s.turned);
  }
}
