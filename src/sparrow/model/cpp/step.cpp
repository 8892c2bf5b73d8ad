// Read new tokens with latent attention and experts: `JoinedStep.hidden` in one call.
//
// A thread takes some texts at a time through all layers by itself. So what one step
// hands to the next stays in the memory nearest to the processor, nobody waits for
// anybody, and a text's numbers are the same to the last bit whoever else is there.

#include <cfloat>
#include <numeric>

#include "registers.h"
#include "scores.h"

namespace {

constexpr int HEADS = 4;          // heads that read a row of the cache together
constexpr int COLUMNS = LANES / HEADS;  // rows of the cache that are read together
constexpr int64_t AHEAD = 16;     // rows of the cache that are fetched in good time
constexpr int64_t AT_ONCE = 128;  // tokens that go through a layer together

struct FeedForward {
  Matrix gate_up, down;
};

struct Layer {
  Matrix joint, out;           // attention: joined with the norm, W_uk and W_uv
  FeedForward all;             // for every token: dense or shared; without panels: none
  Matrix gate;                 // without panels: there are no experts
  const FeedForward* experts;  // [experts]
  const float *latent_scale, *bias;  // [rank], [experts]
  float* rows;                       // the cache: [slots, rank + turned]
};

struct Sizes {
  int64_t layers, width, heads, rank, turned, experts, chosen;
  float eps, latent_eps, times, tiny;  // times, tiny: of the weights of experts
  int64_t has_unit_weights;
};

struct Batch {
  int64_t texts, pages, block, wants;
  const int64_t* begins;   // place of each text's first token, and the end: [texts + 1]
  const int64_t* firsts;   // first column of each text that is not empty: [texts]
  const int64_t *columns, *positions;  // where in the cache, in its text: [N]
  const int64_t* tables;   // blocks of each text: [texts, pages]
  const int64_t* tokens;   // [N]; none: their states are given
  const int64_t* wanted;   // those whose states are asked for, in order: [wants];
                           // all, if `wants` is negative
  const float* embedding;  // [vocabulary, width]
  const float* turn;       // cosine and sine: [positions, turned / 2, 2]
  const float* scale;      // of the last norm: [width]
};

// Room for the numbers of one piece of work; it is kept from call to call.
struct Room {
  std::vector<float> x, joint, mixed, inner, sorted, answers, scores, weights;
  std::vector<int64_t> past, starts, chosen, order, going;
};

// Rows of the cache, filled up to whole registers of scores.
inline int64_t filled(int64_t count) { return (count + COLUMNS - 1) / COLUMNS * COLUMNS; }

// Turn the queries and the key of one token, and keep its row.
void turn_and_keep(const Layer& layer, const Sizes& s, const float* turn, float* joint,
                   float* row) {
  float* pair = joint + s.heads * s.rank;
  for (int64_t head = 0; head <= s.heads; head++)
    for (int64_t i = 0; i < s.turned; i += 2, pair += 2) {
      const float a = pair[0], b = pair[1];
      pair[0] = a * turn[i] - b * turn[i + 1];
      pair[1] = a * turn[i + 1] + b * turn[i];
    }
  unit(pair, s.rank, s.latent_eps, row);
  for (int64_t i = 0; i < s.rank; i++) row[i] *= layer.latent_scale[i];
  std::memcpy(row + s.rank, pair - s.turned, s.turned * sizeof(float));
}

// Four heads of one token look at `count` rows, as many at a time as fill a register.
// rows: of the layer; query: [4, rank + turned]; past: where in `rows` each begins,
// filled up; scores: room for [count, 4], filled up; mixed: [4, rank].
void mix(const Sizes& s, const float* rows, const float* query, const int64_t* past,
         int64_t count, float* scores, float* mixed) {
  const int64_t features = s.rank + s.turned;
  const int64_t all = filled(count) * HEADS;
  Lanes most = Lanes{} - FLT_MAX, sum = {};  // lane l: of head l % 4
  for (int64_t c = 0; c < count; c += COLUMNS) {
    Lanes fit[LANES] = {};
    for (int64_t i = 0; i < features; i += LANES) {
      Lanes asked[HEADS];
#pragma GCC unroll 4
      for (int head = 0; head < HEADS; head++)
        asked[head] = lanes(query + head * features + i);
#pragma GCC unroll 4
      for (int own = 0; own < COLUMNS; own++) {
        const Lanes row = lanes(rows + past[c + own] + i);
        __builtin_prefetch(rows + past[c + own + AHEAD] + i);
#pragma GCC unroll 4
        for (int head = 0; head < HEADS; head++)
          fit[own * HEADS + head] += asked[head] * row;
      }
    }
    lanes(scores + c * HEADS) = totals(fit);
  }
  // What was filled up counts for nothing: beside one, e^-60 is lost in rounding.
  std::fill(scores + count * HEADS, scores + all, -FLT_MAX);
  for (int64_t each = 0; each < all; each += LANES) {
    const Lanes found = lanes(scores + each);
    most = found > most ? found : most;
  }
#pragma GCC unroll 4
  for (int apart = HEADS; apart < LANES; apart *= 2) {
    const Lanes other = turned(most, apart);
    most = other > most ? other : most;
  }
  for (int64_t each = 0; each < all; each += LANES) {
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++)
      scores[each + lane] = exponential(scores[each + lane] - most[lane]);
    sum += lanes(scores + each);
  }
#pragma GCC unroll 4
  for (int apart = HEADS; apart < LANES; apart *= 2) sum += turned(sum, apart);
  for (int64_t i = 0; i < s.rank; i += PANEL) {
    Lanes mean[HEADS][2];
#pragma GCC unroll 4
    for (int head = 0; head < HEADS; head++) mean[head][0] = mean[head][1] = Lanes{};
    for (int64_t c = 0; c < count; c++) {
      const Lanes left = lanes(rows + past[c] + i), right = lanes(rows + past[c] + i + LANES);
#pragma GCC unroll 4
      for (int head = 0; head < HEADS; head++) {
        mean[head][0] += scores[c * HEADS + head] * left;
        mean[head][1] += scores[c * HEADS + head] * right;
      }
    }
#pragma GCC unroll 4
    for (int head = 0; head < HEADS; head++) {
      lanes(mixed + head * s.rank + i) = mean[head][0] / sum[head];
      lanes(mixed + head * s.rank + i + LANES) = mean[head][1] / sum[head];
    }
  }
}

void swiglu(const FeedForward& part, const float* x, int64_t x_step, int64_t rows,
            float* inner, float* out, int64_t out_step, bool adds) {
  const int64_t wide = part.gate_up.wide(), half = part.gate_up.outputs / 2;
  product(part.gate_up, x, x_step, rows, inner, wide);
  for (int64_t n = 0; n < rows; n++) {
    float *gated = inner + n * wide, *up = gated + half;
#pragma omp simd
    for (int64_t i = 0; i < half; i++)
      gated[i] = gated[i] / (1.0f + exponential(-gated[i])) * up[i];
  }
  product(part.down, inner, wide, rows, out, out_step, adds);
}

// Choose experts by score plus bias, and weigh them by the score alone.
void choose(const Layer& layer, const Sizes& s, const float* logits, int64_t* chosen,
            float* weights, float* score) {
  float* wish = score + s.experts;
#pragma omp simd
  for (int64_t e = 0; e < s.experts; e++) {
    score[e] = 1.0f / (1.0f + exponential(-logits[e]));
    wish[e] = score[e] + layer.bias[e];
  }
  float sum = s.tiny;
  for (int64_t a = 0; a < s.chosen; a++) {
    chosen[a] = std::max_element(wish, wish + s.experts) - wish;
    wish[chosen[a]] = -FLT_MAX;
    weights[a] = score[chosen[a]];
    sum += weights[a];
  }
  const float times = s.has_unit_weights ? s.times / sum : s.times;
  for (int64_t a = 0; a < s.chosen; a++) weights[a] *= times;
}

// Ask each expert for its own tokens, laid side by side.
void ask_experts(const Layer& layer, const Sizes& s, const float* x, int64_t wide,
                 int64_t rows, float* hidden, Room& room) {
  const int64_t pieces = rows * s.chosen, gate_wide = layer.gate.wide();
  float* logits = at_least(room.inner, rows * gate_wide);
  product(layer.gate, x, wide, rows, logits, gate_wide);
  room.chosen.resize(pieces), room.order.resize(pieces), room.weights.resize(pieces);
  float* scores = at_least(room.scores, 2 * s.experts);
  for (int64_t n = 0; n < rows; n++)
    choose(layer, s, logits + n * gate_wide, &room.chosen[n * s.chosen],
           &room.weights[n * s.chosen], scores);
  float* sorted = at_least(room.sorted, rows * wide);
  float* answers = at_least(room.answers, rows * wide);
  for (int64_t e = 0; e < s.experts; e++) {
    const FeedForward& expert = layer.experts[e];
    int64_t count = 0;
    for (int64_t piece = 0; piece < pieces; piece++)
      if (room.chosen[piece] == e) {
        room.order[count] = piece;
        std::memcpy(sorted + count++ * wide, x + piece / s.chosen * wide,
                    s.width * sizeof(float));
      }
    float* inner = at_least(room.inner, count * expert.gate_up.wide());
    swiglu(expert, sorted, wide, count, inner, answers, wide, false);
    for (int64_t n = 0; n < count; n++) {
      const float weight = room.weights[room.order[n]];
      float* to = hidden + room.order[n] / s.chosen * wide;
      for (int64_t i = 0; i < s.width; i++) to[i] += weight * answers[n * wide + i];
    }
  }
}

// Where the rows lie at which the tokens from `begin` to `end` look: text after text,
// each filled up, and more behind the last, which are fetched and not read.
void find_past(const Sizes& s, const Batch& batch, int64_t text, int64_t begin,
               int64_t end, Room& room) {
  room.past.clear(), room.starts.clear();
  for (int64_t at = begin; at < end; at = batch.begins[++text]) {
    const int64_t* table = batch.tables + text * batch.pages;
    const int64_t stop = std::min(end, batch.begins[text + 1]);
    const int64_t first = batch.firsts[text], last = batch.columns[stop - 1];
    room.starts.push_back(room.past.size());
    for (int64_t c = first; c <= last; c++) {
      const int64_t slot = table[c / batch.block] * batch.block + c % batch.block;
      room.past.push_back(slot * (s.rank + s.turned));
    }
    const int64_t count = last + 1 - first;
    room.past.insert(room.past.end(), filled(count) - count, room.past.back());
  }
  room.past.insert(room.past.end(), AHEAD, room.past.back());
}

// All heads of one token look at `count` rows of the cache.
void look(const Layer& layer, const Sizes& s, const int64_t* past, int64_t count,
          const float* joint, float* mixed, Room& room) {
  const int64_t features = s.rank + s.turned;
  float* scores = at_least(room.scores, HEADS * (features + filled(count)));
  float* query = scores + HEADS * filled(count);
  for (int64_t head = 0; head < s.heads; head += HEADS) {
    for (int64_t own = 0; own < HEADS; own++) {
      const float* from = joint + (head + own) * s.rank;
      std::memcpy(query + own * features, from, s.rank * sizeof(float));
      from = joint + s.heads * s.rank + (head + own) * s.turned;
      std::memcpy(query + own * features + s.rank, from, s.turned * sizeof(float));
    }
    mix(s, layer.rows, query, past, count, scores, mixed + head * s.rank);
  }
}

// Keep the rows of the tokens from `begin` to `end`; those of `room.going` look at
// their texts up to their own places.
void attend(const Layer& layer, const Sizes& s, const Batch& batch, int64_t text,
            int64_t begin, int64_t end, float* joint, float* mixed, Room& room) {
  const int64_t wide = layer.joint.wide();
  auto each = room.going.begin();
  const int64_t* start = room.starts.data();
  for (int64_t at = begin; at < end; at = batch.begins[++text], start++) {
    const int64_t until = std::min(end, batch.begins[text + 1]);
    const int64_t first = batch.firsts[text];
    const int64_t* past = &room.past[*start];
    for (int64_t n = at; n < until; n++)
      turn_and_keep(layer, s, batch.turn + batch.positions[n] * s.turned,
                    joint + (n - begin) * wide,
                    layer.rows + past[batch.columns[n] - first]);
    for (; each < room.going.end() && *each < until - begin; each++) {
      look(layer, s, past, batch.columns[begin + *each] - first + 1,
           joint + *each * wide, mixed, room);
      mixed += s.heads * s.rank;
    }
  }
}

// Where the first state stands that is asked for at or behind a token.
inline int64_t place_of(const Batch& batch, int64_t token) {
  if (batch.wants < 0) return token;
  return std::lower_bound(batch.wanted, batch.wanted + batch.wants, token) - batch.wanted;
}

// The rows, among those of the tokens from `begin` to `end`, that are asked for.
void find_going(const Batch& batch, int64_t begin, int64_t end,
                std::vector<int64_t>& going) {
  going.clear();
  for (int64_t place = place_of(batch, begin);
       place < batch.wants && batch.wanted[place] < end; place++)
    going.push_back(batch.wanted[place] - begin);
}

// Take the tokens from `begin` to `end`, which belong to `text` and those after it,
// through all layers; how many rows of `hidden` are left. In the last layer nobody
// needs more than the cache of a token whose state is not asked for.
int64_t read(const Layer* layers, const Sizes& s, const Batch& batch, int64_t text,
             int64_t begin, int64_t end, float* hidden, int64_t wide, Room& room) {
  int64_t rows = end - begin;
  float* x = at_least(room.x, rows * wide);
  find_past(s, batch, text, begin, end, room);
  room.going.resize(rows);
  std::iota(room.going.begin(), room.going.end(), 0);
  for (int64_t l = 0; l < s.layers; l++) {
    const Layer& layer = layers[l];
    float* joint = at_least(room.joint, rows * layer.joint.wide());
    float* mixed = at_least(room.mixed, rows * s.heads * s.rank);
    for (int64_t n = 0; n < rows; n++)
      unit(hidden + n * wide, s.width, s.eps, x + n * wide);
    product(layer.joint, x, wide, rows, joint, layer.joint.wide());
    if (batch.wants >= 0 && l + 1 == s.layers) find_going(batch, begin, end, room.going);
    attend(layer, s, batch, text, begin, end, joint, mixed, room);
    rows = room.going.size();
    for (int64_t n = 0; n < rows; n++)
      if (room.going[n] > n)
        std::memcpy(hidden + n * wide, hidden + room.going[n] * wide,
                    s.width * sizeof(float));
    product(layer.out, mixed, s.heads * s.rank, rows, hidden, wide, true);
    for (int64_t n = 0; n < rows; n++)
      unit(hidden + n * wide, s.width, s.eps, x + n * wide);
    if (layer.gate.panels) ask_experts(layer, s, x, wide, rows, hidden, room);
    if (layer.all.gate_up.panels) {
      float* inner = at_least(room.inner, rows * layer.all.gate_up.wide());
      swiglu(layer.all, x, wide, rows, inner, hidden, wide, true);
    }
  }
  return rows;
}

}  // namespace

// What a matrix must be laid out for.
extern "C" int sparrow_panel() { return PANEL; }

// hidden: states after the last norm, of all tokens or of those that are wanted:
// [N, width] or [wants, width].
extern "C" void sparrow_step(const Layer* layers, const Sizes* sizes, const Batch* batch,
                             int threads, float* hidden) {
  const Sizes& s = *sizes;
  const int64_t tokens = batch->begins[batch->texts];
  const int64_t fair = std::min(AT_ONCE, (tokens + threads - 1) / threads);
  std::vector<int64_t> work;  // the first text of each piece of work, and the end
  for (int64_t text = 0, begin = -fair; text < batch->texts; text++)
    if (batch->begins[text + 1] - begin > fair) {
      work.push_back(text);
      begin = batch->begins[text];
    }
  const int64_t wide = layers[0].out.wide(), pieces = work.size();
  work.push_back(batch->texts);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t piece = 0; piece < pieces; piece++) {
    static thread_local Room room;
    static thread_local std::vector<float> states;
    int64_t text = work[piece];
    const int64_t end = batch->begins[work[piece + 1]];
    for (int64_t at = batch->begins[text]; at < end; at += AT_ONCE) {
      while (batch->begins[text + 1] <= at) text++;
      const int64_t rows = std::min(AT_ONCE, end - at);
      float* to = hidden + place_of(*batch, at) * s.width;
      float* own = at_least(states, rows * wide);
      for (int64_t n = 0; n < rows; n++) {
        const float* from = hidden + (at + n) * s.width;
        if (batch->tokens) from = batch->embedding + batch->tokens[at + n] * s.width;
        std::memcpy(own + n * wide, from, s.width * sizeof(float));
      }
      const int64_t left = read(layers, s, *batch, text, at, at + rows, own, wide, room);
      for (int64_t n = 0; n < left; n++, to += s.width) {
        unit(own + n * wide, s.width, s.eps, to);
        for (int64_t i = 0; i < s.width; i++) to[i] *= batch->scale[i];
      }
    }
  }
}

extern "C" void sparrow_scores(const Matrix* head, const float* hidden,
                               const int64_t* rows, int64_t count, int threads,
                               float* scores, int64_t* best) {
  score(*head, hidden, rows, count, threads, scores, best);
}
