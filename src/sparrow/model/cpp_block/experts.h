// Each token asks a few experts, and all of it goes back to them.

#pragma once
#include "block.h"
#include "parts.h"

// A SwiGLU's matrices: as they are, or transposed on the way forward.
struct FeedForward {
  From gate, up, down;
};

// Choose experts by score plus bias, and weigh them by the score alone.
// scores: [experts]; weights, chosen: [A].
inline void choose(const Call& call, const float* logits, float* scores, float* weights,
                   int64_t* chosen) {
  const Sizes& s = call.s;
  float sum = s.tiny;
  for (int64_t e = 0; e < s.experts; e++)
    scores[e] = 1.0f / (1.0f + std::exp(-logits[e]));
  for (int64_t a = 0; a < s.chosen; a++) {
    int64_t best = -1;
    for (int64_t e = 0; e < s.experts; e++) {
      if (std::find(chosen, chosen + a, e) != chosen + a) continue;
      if (best < 0 || scores[e] + call.bias[e] > scores[best] + call.bias[best]) best = e;
    }
    chosen[a] = best;
    weights[a] = scores[best];
    sum += scores[best];
  }
  const float times = s.has_unit_weights ? s.times / sum : s.times;
  for (int64_t a = 0; a < s.chosen; a++) weights[a] *= times;
}

// What a token's logits feel of what its weights feel, and of what its scores feel.
inline void choose_back(const Sizes& s, const float* scores, const int64_t* chosen,
                        const float* felt_weights, const float* felt_scores,
                        float* to) {
  float sum = s.tiny, along = 0;
  for (int64_t a = 0; a < s.chosen; a++) {
    sum += scores[chosen[a]];
    along += scores[chosen[a]] * felt_weights[a];
  }
  std::fill(to, to + s.logits(), 0.0f);
  if (felt_scores) std::copy(felt_scores, felt_scores + s.experts, to);
  for (int64_t a = 0; a < s.chosen; a++)
    to[chosen[a]] += s.has_unit_weights ? s.times / sum * (felt_weights[a] - along / sum)
                                        : s.times * felt_weights[a];
  for (int64_t e = 0; e < s.experts; e++) to[e] *= scores[e] * (1.0f - scores[e]);
}

// Sort a chunk's pieces of work by expert: room.order, and room.begins of each expert.
inline void sort_pieces(const Sizes& s, const int64_t* experts, int64_t pieces,
                        Room& room) {
  room.order.resize(pieces);
  room.begins.assign(s.experts + 2, 0);
  int64_t* place = room.begins.data() + 1;  // moves on to where the next one begins
  for (int64_t piece = 0; piece < pieces; piece++)
    if (experts[piece] + 1 < s.experts) place[experts[piece] + 1]++;
  for (int64_t e = 1; e < s.experts; e++) place[e] += place[e - 1];
  for (int64_t piece = 0; piece < pieces; piece++)
    room.order[place[experts[piece]]++] = piece;
}

inline FeedForward expert(const Sizes& s, const Weights& w, int64_t e) {
  const float* gate_up = w.gate_up + e * 2 * s.inner * s.width;
  return {{gate_up, s.width},
          {gate_up + s.inner * s.width, s.width},
          {w.experts_down + e * s.inner * s.width, s.inner}};
}

inline FeedForward turned_expert(const Sizes& s, const Weights& w, int64_t e) {
  const float* gate_up = w.gate_up + e * 2 * s.inner * s.width;
  return {{gate_up, 2 * s.inner},
          {gate_up + s.inner, 2 * s.inner},
          {w.experts_down + e * s.inner * s.width, s.width}};
}

inline FeedForward for_all(const Sizes& s, const Weights& w) {
  return {{w.all_gate, s.width}, {w.all_up, s.width}, {w.all_down, s.for_all}};
}

inline FeedForward turned_for_all(const Sizes& s, const Weights& w) {
  return {{w.all_gate, 2 * s.for_all},
          {w.all_gate + s.for_all, 2 * s.for_all},
          {w.all_down, s.width}};
}

// Who asks a part: all rows of a chunk as they stand, or those of the pieces in `order`.
struct Asking {
  int64_t rows, width, half;
  const int64_t* order;  // none: all rows
  int64_t chosen;        // pieces of a row

  int64_t row(int64_t n) const { return order ? order[n] / chosen : n; }
};

constexpr int64_t SLICE = 256;  // rows that ask at once

// The rows of `x` that ask, from the `at`-th on, side by side.
inline From side_by_side(const Asking& who, int64_t at, int64_t count, From x,
                         Rows& room) {
  if (!who.order) return {x.at + at * x.step, x.step};
  const To to = room.take(count, who.width);
  for (int64_t n = 0; n < count; n++)
    std::memcpy(to.at + n * to.step, x.at + who.row(at + n) * x.step,
                who.width * sizeof(float));
  return {to.at, to.step};
}

// Add what stands side by side to the rows that asked.
inline void give_back(const Asking& who, int64_t at, int64_t count, const Rows& from,
                      To to) {
  for (int64_t n = 0; n < count; n++)
    add(from[n], to.at + who.row(at + n) * to.step, who.width);
}

// to [., width] += a SwiGLU of x, for those who ask. weights: of pieces; none: 1.
inline void ask(const FeedForward& turned, const Asking& who, From x, float* gated,
                const float* weights, To to, Room& room) {
  const int64_t width = who.width, half = who.half;
  for (int64_t at = 0, count; at < who.rows; at += count) {
    count = std::min(SLICE, who.rows - at);
    const From own = side_by_side(who, at, count, x, room.sorted);
    const To gate_up = {gated + at * 2 * half, 2 * half};
    room.inner.take(count, half);
    product(count, 2 * half, width, own, turned.gate, gate_up);
    for (int64_t n = 0; n < count; n++)
      swiglu(gate_up.at + n * 2 * half, weights ? weights[who.order[at + n]] : 1.0f,
             half, room.inner[n]);
    if (!who.order) {
      product(count, width, half, room.inner.all(), turned.down,
              {to.at + at * to.step, to.step}, true);
      continue;
    }
    product(count, width, half, room.inner.all(), turned.down,
            room.answers.take(count, width));
    give_back(who, at, count, room.answers, to);
  }
}

// Backwards: to [., width] += what x feels of `felt`, which the answers feel.
inline void ask_back(const FeedForward& own, const FeedForward& felt_own,
                     const Asking& who, From x, const float* gated, From felt,
                     const float* weights, float* felt_weights, To to, bool is_first,
                     Room& room) {
  const int64_t width = who.width, half = who.half;
  const auto grows = [](From matrix) {
    return To{const_cast<float*>(matrix.at), matrix.step};
  };
  if (is_first && who.rows == 0)
    for (const From each : {felt_own.gate, felt_own.up, felt_own.down})
      std::fill(grows(each).at, grows(each).at + width * half, 0.0f);
  for (int64_t at = 0, count; at < who.rows; at += count) {
    count = std::min(SLICE, who.rows - at);
    const From read = side_by_side(who, at, count, x, room.sorted);
    const From feels = side_by_side(who, at, count, felt, room.felt_sorted);
    room.inner.take(count, half), room.changes.take(count, 2 * half);
    product(count, half, width, feels, own.down, room.answers.take(count, half));
    for (int64_t n = 0; n < count; n++) {
      const float sum = swiglu_back(gated + (at + n) * 2 * half, room.answers[n],
                                    weights ? weights[who.order[at + n]] : 1.0f, half,
                                    room.inner[n], room.changes[n]);
      if (weights) felt_weights[who.order[at + n]] = sum;
    }
    const bool adds = at > 0 || !is_first;
    turned_product(width, half, count, feels, room.inner.all(), grows(felt_own.down),
                   adds);
    turned_product(half, width, count, room.changes.all(), read, grows(felt_own.gate),
                   adds);
    turned_product(half, width, count, room.changes.from(half), read,
                   grows(felt_own.up), adds);
    const To sums =
        who.order ? room.answers.take(count, width) : To{to.at + at * to.step, to.step};
    product(count, width, half, room.changes.all(), own.gate, sums, !who.order);
    product(count, width, half, room.changes.from(half), own.up, sums, true);
    if (who.order) give_back(who, at, count, room.answers, to);
  }
}

// hidden [rows, width] += the experts' answers to room.x.
inline void ask_experts(const Call& call, const Chunk& c, To hidden, Room& room) {
  const Sizes& s = call.s;
  const int64_t first = c.begin * s.chosen;
  product(c.rows, s.logits(), s.width, room.x.all(), {call.turned.gate, s.logits()},
          room.logits.take(c.rows, s.logits()));
  for (int64_t n = 0; n < c.rows; n++)
    choose(call, room.logits[n], call.scores + (c.begin + n) * s.experts,
           call.kept.weights + first + n * s.chosen,
           call.experts + first + n * s.chosen);
  sort_pieces(s, call.experts + first, c.rows * s.chosen, room);
  for (int64_t e = 0; e < s.experts; e++) {
    const int64_t begin = room.begins[e], rows = room.begins[e + 1] - begin;
    ask(turned_expert(s, call.turned, e),
        {rows, s.width, s.inner, room.order.data() + begin, s.chosen}, room.x.all(),
        call.kept.gated + (first + begin) * 2 * s.inner, call.kept.weights + first,
        hidden, room);
  }
}

// to [rows, width] += what room.x feels of `felt`, through experts and router.
inline void ask_experts_back(const Call& call, const Chunk& c, From felt,
                             const float* felt_scores, const Weights& felt_weights,
                             To to, Room& room) {
  const Sizes& s = call.s;
  const int64_t pieces = c.rows * s.chosen, first = c.begin * s.chosen;
  sort_pieces(s, call.experts + first, pieces, room);
  float* weights = room.felt_weights.take(pieces);
  for (int64_t e = 0; e < s.experts; e++) {
    const int64_t begin = room.begins[e], rows = room.begins[e + 1] - begin;
    ask_back(expert(s, call.weights, e), expert(s, felt_weights, e),
             {rows, s.width, s.inner, room.order.data() + begin, s.chosen},
             room.x.all(), call.kept.gated + (first + begin) * 2 * s.inner, felt,
             call.kept.weights + first, weights, to, c.is_first, room);
  }
  room.logits.take(c.rows, s.logits());
  for (int64_t n = 0; n < c.rows; n++) {
    const int64_t token = c.begin + n;
    choose_back(s, call.scores + token * s.experts, call.experts + token * s.chosen,
                weights + n * s.chosen,
                felt_scores ? felt_scores + token * s.experts : nullptr,
                room.logits[n]);
  }
  turned_product(s.experts, s.width, c.rows, room.logits.all(), room.x.all(),
                 {felt_weights.gate, s.width});
  product(c.rows, s.width, s.experts, room.logits.all(), {call.weights.gate, s.width},
          to, true);
}
