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

// to [rows, width] += a SwiGLU of x. Weights: [rows], in `order`; none: 1.
inline void ask(const FeedForward& turned, int64_t width, int64_t half, int64_t rows,
                From x, float* gated, const float* weights, const int64_t* order, To to,
                bool adds, Room& room) {
  const To inner = room.inner.take(rows, half);
  product(rows, 2 * half, width, x, turned.gate, {gated, 2 * half});
  for (int64_t n = 0; n < rows; n++)
    swiglu(gated + n * 2 * half, weights ? weights[order[n]] : 1.0f, half,
           inner.at + n * inner.step);
  product(rows, width, half, room.inner.all(), turned.down, to, adds);
}

// Backwards: to [rows, width] (+)= what x feels of `felt`, which the answer feels.
inline void ask_back(const FeedForward& own, const FeedForward& felt_own, int64_t width,
                     int64_t half, int64_t rows, From x, const float* gated, From felt,
                     const float* weights, float* felt_weights, const int64_t* order,
                     To to, bool adds, Room& room) {
  const To inner = room.inner.take(rows, half);
  const To changes = room.changes.take(rows, 2 * half);
  const To answers = room.answers.take(rows, half);
  product(rows, half, width, felt, own.down, answers);
  for (int64_t n = 0; n < rows; n++) {
    const float sum = swiglu_back(gated + n * 2 * half, answers.at + n * answers.step,
                                  weights ? weights[order[n]] : 1.0f, half,
                                  inner.at + n * inner.step,
                                  changes.at + n * changes.step);
    if (weights) felt_weights[order[n]] = sum;
  }
  const auto grows = [](From matrix) {
    return To{const_cast<float*>(matrix.at), matrix.step};
  };
  turned_product(width, half, rows, felt, room.inner.all(), grows(felt_own.down));
  turned_product(half, width, rows, room.changes.all(), x, grows(felt_own.gate));
  turned_product(half, width, rows, room.changes.from(half), x, grows(felt_own.up));
  product(rows, width, half, room.changes.all(), own.gate, to, adds);
  product(rows, width, half, room.changes.from(half), own.up, to, true);
}

// hidden [rows, width] += the experts' answers to room.x.
inline void ask_experts(const Call& call, const Chunk& c, To hidden, Room& room) {
  const Sizes& s = call.s;
  const int64_t pieces = c.rows * s.chosen, first = c.begin * s.chosen;
  const To logits = room.logits.take(c.rows, s.logits());
  product(c.rows, s.logits(), s.width, room.x.all(), {call.turned.gate, s.logits()},
          logits);
  for (int64_t n = 0; n < c.rows; n++)
    choose(call, room.logits[n], call.scores + (c.begin + n) * s.experts,
           call.kept.weights + first + n * s.chosen,
           call.experts + first + n * s.chosen);
  sort_pieces(s, call.experts + first, pieces, room);
  const To sorted = room.sorted.take(pieces, s.width);
  const To answers = room.answers.take(pieces, s.width);
  for (int64_t n = 0; n < pieces; n++)
    std::memcpy(sorted.at + n * sorted.step, room.x[room.order[n] / s.chosen],
                s.width * sizeof(float));
  for (int64_t e = 0; e < s.experts; e++) {
    const int64_t begin = room.begins[e], rows = room.begins[e + 1] - begin;
    ask(turned_expert(s, call.turned, e), s.width, s.inner, rows,
        {sorted.at + begin * sorted.step, sorted.step},
        call.kept.gated + (first + begin) * 2 * s.inner, call.kept.weights + first,
        room.order.data() + begin, {answers.at + begin * answers.step, answers.step},
        false, room);
  }
  for (int64_t n = 0; n < pieces; n++)
    add(answers.at + n * answers.step,
        hidden.at + room.order[n] / s.chosen * hidden.step, s.width);
}

// to [rows, width] += what room.x feels of `felt`, through experts and router.
inline void ask_experts_back(const Call& call, const Chunk& c, From felt,
                             const float* felt_scores, const Weights& felt_weights,
                             To to, Room& room) {
  const Sizes& s = call.s;
  const int64_t pieces = c.rows * s.chosen, first = c.begin * s.chosen;
  sort_pieces(s, call.experts + first, pieces, room);
  const To sorted = room.sorted.take(pieces, s.width);
  const To felt_sorted = room.felt_sorted.take(pieces, s.width);
  float* weights = room.felt_weights.take(pieces);
  for (int64_t n = 0; n < pieces; n++) {
    const int64_t token = room.order[n] / s.chosen;
    std::memcpy(sorted.at + n * sorted.step, room.x[token], s.width * sizeof(float));
    std::memcpy(felt_sorted.at + n * felt_sorted.step, felt.at + token * felt.step,
                s.width * sizeof(float));
  }
  for (int64_t e = 0; e < s.experts; e++) {
    const int64_t begin = room.begins[e], rows = room.begins[e + 1] - begin;
    const To x = {sorted.at + begin * sorted.step, sorted.step};
    ask_back(expert(s, call.weights, e), expert(s, felt_weights, e), s.width, s.inner,
             rows, {x.at, x.step}, call.kept.gated + (first + begin) * 2 * s.inner,
             {felt_sorted.at + begin * felt_sorted.step, felt_sorted.step},
             call.kept.weights + first, weights, room.order.data() + begin, x, false,
             room);
  }
  for (int64_t n = 0; n < pieces; n++)
    add(sorted.at + n * sorted.step, to.at + room.order[n] / s.chosen * to.step,
        s.width);
  const To logits = room.logits.take(c.rows, s.logits());
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
  (void)logits;
}
