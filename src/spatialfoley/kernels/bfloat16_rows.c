/* Attention and the row-wise work around it for CPUs with AVX512-BF16.

   Matrix products are oneDNN's; what lies between them is here, so that it is one pass over the data each instead of
   one per operator. Numbers come and go as bfloat16, all arithmetic between is float32. The threads are those of
   torch: the library is linked without an OpenMP of its own and finds the one that torch has loaded. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t bf16;

#define LANES 16
#define ROWS 6     /* queries at a time: 6 x 4 vectors of scores fill the registers */
#define MAX_HEAD 5 /* vectors of a head: widths of 16 to 80 */

static inline __m512 widen(const bf16 *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}

static inline void narrow(bf16 *p, __m512 x) { _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(x)); }


static inline __m512 pair(const bf16 *p) { /* two neighbours in every lane */
    int32_t bits;
    memcpy(&bits, p, 4);
    return (__m512)_mm512_set1_epi32(bits);
}

static inline __m512 multiply_pairs(__m512 sum, __m512 a, __m512 b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* 2^x, relative error below 3e-7 */
static inline __m512 power_of_two(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-127.0f));
    __m512 whole = _mm512_roundscale_ps(x, 0), part = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(1.5403530e-4f);
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.3333558e-3f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(9.6181291e-3f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(5.5504109e-2f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(2.4022651e-1f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(6.9314718e-1f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(y, whole);
}

/* Scores of ROWS queries against `vectors` x 16 keys; keys are packed (width / 2, 16 keys, 2). */
static inline __attribute__((always_inline)) void scores(
    const bf16 *const *queries, const bf16 *keys, int64_t width, int vectors, float *out, int64_t stride) {
    __m512 sum[ROWS][4];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_setzero_ps();
    for (int64_t c = 0; c < width; c += 2) {
        __m512 key[4];
        for (int v = 0; v < vectors; v++) key[v] = _mm512_loadu_ps(keys + (v * width + c) * LANES);
        for (int r = 0; r < ROWS; r++) {
            __m512 query = pair(queries[r] + c);
            for (int v = 0; v < vectors; v++) sum[r][v] = multiply_pairs(sum[r][v], query, key[v]);
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vectors; v++) _mm512_storeu_ps(out + r * stride + v * LANES, sum[r][v]);
}

/* Sums of values weighted by shares; values are packed (keys / 2, `vectors` x 16 channels, 2). */
static inline __attribute__((always_inline)) void gather_values(
    const bf16 *shares, int64_t stride, const bf16 *values, int64_t keys, int vectors, const float *total,
    bf16 *const *out) {
    __m512 sum[ROWS][MAX_HEAD];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_setzero_ps();
    for (int64_t k = 0; k < keys; k += 2) {
        const bf16 *value = values + k * vectors * LANES;
        for (int v = 0; v < vectors; v++) {
            __m512 channels = _mm512_loadu_ps(value + v * 2 * LANES);
            for (int r = 0; r < ROWS; r++)
                sum[r][v] = multiply_pairs(sum[r][v], pair(shares + r * stride + k), channels);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        __m512 scale = _mm512_set1_ps(1.0f / total[r]);
        for (int v = 0; v < vectors; v++) narrow(out[r] + v * LANES, _mm512_mul_ps(sum[r][v], scale));
    }
}

/* Scores (keys padded to 16) to shares in bfloat16, not yet divided by their sum. */
static float softmax_row(float *score, bf16 *share, int64_t keys, int64_t padded) {
    for (int64_t k = keys; k < padded; k++) score[k] = -INFINITY;
    __m512 largest = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (int64_t k = 0; k < padded; k += LANES) largest = _mm512_max_ps(largest, _mm512_loadu_ps(score + k));
    __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    for (int64_t k = 0; k < padded; k += LANES) {
        __m512 y = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(score + k), top));
        /* what is padding must not count, also where all scores are very low */
        if (k + LANES > keys) y = _mm512_maskz_mov_ps((__mmask16)((1u << (keys - k)) - 1), y);
        sum = _mm512_add_ps(sum, y);
        narrow(share + k, y);
    }
    return _mm512_reduce_add_ps(sum);
}

typedef struct {
    const bf16 *query, *key, *value; /* rows of heads x width numbers */
    bf16 *out;
    int64_t stride, out_stride; /* from row to row */
    int64_t heads, width;
    int64_t groups;
    const int64_t *query_start, *key_start; /* first row of each group */
    const int64_t *extra;                   /* one more key row of each group, or NULL */
    int64_t queries, query_step, keys, key_step;
} attention;

static void pack_group(const attention *a, int64_t group, int64_t head, int64_t padded, bf16 *keys, bf16 *values) {
    int64_t width = a->width, extra = a->extra != NULL, total = a->keys + extra;
    int64_t at = head * width;
    for (int64_t k = 0; k < padded; k++) {
        bf16 *to = keys + (k / LANES) * width * LANES + (k % LANES) * 2;
        bf16 *value_to = values + (k / 2) * width * 2 + (k % 2);
        if (k >= total) {
            for (int64_t c = 0; c < width; c += 2) memset(to + c * LANES, 0, 4);
            for (int64_t c = 0; c < width; c++) value_to[2 * c] = 0;
            continue;
        }
        int64_t row = k < extra ? a->extra[group] : a->key_start[group] + (k - extra) * a->key_step;
        const bf16 *from = a->key + row * a->stride + at, *value = a->value + row * a->stride + at;
        for (int64_t c = 0; c < width; c += 2) memcpy(to + c * LANES, from + c, 4);
        for (int64_t c = 0; c < width; c++) value_to[2 * c] = value[c];
    }
}

static void attend_rows(const attention *a, int64_t group, int64_t head, int64_t first, int64_t total, int64_t padded,
                        const bf16 *keys, const bf16 *values, float *score, bf16 *share) {
    const bf16 *queries[ROWS];
    bf16 *out[ROWS];
    float sums[ROWS];
    int64_t width = a->width;
    bf16 spare[MAX_HEAD * LANES];
    for (int r = 0; r < ROWS; r++) {
        int64_t within = first + r < a->queries ? first + r : a->queries - 1;
        int64_t row = a->query_start[group] + within * a->query_step;
        queries[r] = a->query + row * a->stride + head * width;
        out[r] = first + r < a->queries ? a->out + row * a->out_stride + head * width : spare;
    }
    int64_t k = 0;
    for (; k + 4 * LANES <= padded; k += 4 * LANES) scores(queries, keys + k * width, width, 4, score + k, padded);
    for (; k + 2 * LANES <= padded; k += 2 * LANES) scores(queries, keys + k * width, width, 2, score + k, padded);
    for (; k < padded; k += LANES) scores(queries, keys + k * width, width, 1, score + k, padded);
    for (int r = 0; r < ROWS; r++) sums[r] = softmax_row(score + r * padded, share + r * padded, total, padded);
    int64_t even = total + total % 2;
    switch (width / LANES) {
    case 1: gather_values(share, padded, values, even, 1, sums, out); break;
    case 2: gather_values(share, padded, values, even, 2, sums, out); break;
    case 3: gather_values(share, padded, values, even, 3, sums, out); break;
    case 4: gather_values(share, padded, values, even, 4, sums, out); break;
    default: gather_values(share, padded, values, even, 5, sums, out); break;
    }
}

/* softmax(query key) value; the queries carry the scale and log2(e). */
void attend(const attention *a) {
    int64_t total = a->keys + (a->extra != NULL), padded = (total + LANES - 1) / LANES * LANES;
#pragma omp parallel
    {
        bf16 *keys = aligned_alloc(64, padded * a->width * 2), *values = aligned_alloc(64, padded * a->width * 2);
        float *score = aligned_alloc(64, ROWS * padded * 4);
        bf16 *share = aligned_alloc(64, ROWS * padded * 4);
#pragma omp for schedule(static)
        for (int64_t unit = 0; unit < a->groups * a->heads; unit++) {
            int64_t group = unit / a->heads, head = unit % a->heads;
            pack_group(a, group, head, padded, keys, values);
            for (int64_t first = 0; first < a->queries; first += ROWS)
                attend_rows(a, group, head, first, total, padded, keys, values, score, share);
        }
        free(keys), free(values), free(score), free(share);
    }
}

/* Queries and keys of each head to unit root mean square (with gains), turned by pairs, the queries scaled; in place.
   Channels are in the order (even ones, odd ones) of the pairs. Gains or angles may be NULL. */
void prepare_heads(bf16 *qkv, int64_t rows, int64_t stride, int64_t heads, int64_t width, const float *query_gain,
                   const float *key_gain, float epsilon, const float *cosine, const float *sine, int64_t positions,
                   float scale) {
    int64_t half = width / 2;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *cosines = cosine + (row % positions) * half, *sines = sine + (row % positions) * half;
        for (int64_t head = 0; head < 2 * heads; head++) {
            bf16 *x = qkv + row * stride + head * width;
            const float *gain = head < heads ? query_gain : key_gain;
            float factor = head < heads ? scale : 1.0f;
            if (gain) {
                __m512 square = _mm512_setzero_ps();
                for (int64_t c = 0; c < width; c += LANES) {
                    __m512 v = widen(x + c);
                    square = _mm512_fmadd_ps(v, v, square);
                }
                factor /= sqrtf(_mm512_reduce_add_ps(square) / width + epsilon);
            }
            __m512 by = _mm512_set1_ps(factor);
            for (int64_t c = 0; c < half; c += LANES) {
                __m512 first = _mm512_mul_ps(widen(x + c), by), second = _mm512_mul_ps(widen(x + half + c), by);
                if (gain) {
                    first = _mm512_mul_ps(first, _mm512_loadu_ps(gain + c));
                    second = _mm512_mul_ps(second, _mm512_loadu_ps(gain + half + c));
                }
                if (cosine) {
                    __m512 cs = _mm512_loadu_ps(cosines + c), sn = _mm512_loadu_ps(sines + c);
                    __m512 turned = _mm512_fmsub_ps(first, cs, _mm512_mul_ps(second, sn));
                    second = _mm512_fmadd_ps(first, sn, _mm512_mul_ps(second, cs));
                    first = turned;
                }
                narrow(x + c, first);
                narrow(x + half + c, second);
            }
        }
    }
}

/* Normalised rows of x, times (1 + scale), plus shift: both of row index[r] of a table, or of weights for all rows. */
void modulate(const float *x, int64_t rows, int64_t width, const bf16 *table, int64_t stride, const int64_t *index,
              int64_t shift, int64_t scale, const float *weight, const float *bias, float epsilon, bf16 *out) {
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * width;
        __m512 sum = _mm512_setzero_ps(), square = _mm512_setzero_ps();
        for (int64_t c = 0; c < width; c += LANES) sum = _mm512_add_ps(sum, _mm512_loadu_ps(row + c));
        __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width);
        for (int64_t c = 0; c < width; c += LANES) {
            __m512 d = _mm512_sub_ps(_mm512_loadu_ps(row + c), mean);
            square = _mm512_fmadd_ps(d, d, square);
        }
        __m512 by = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(square) / width + epsilon));
        const bf16 *entry = table ? table + index[r] * stride : NULL;
        for (int64_t c = 0; c < width; c += LANES) {
            __m512 y = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c), mean), by);
            if (entry)
                y = _mm512_fmadd_ps(y, widen(entry + scale + c), _mm512_add_ps(y, widen(entry + shift + c)));
            else
                y = _mm512_fmadd_ps(y, _mm512_loadu_ps(weight + c), _mm512_loadu_ps(bias + c));
            narrow(out + r * width + c, y);
        }
    }
}

/* x += y, times the gate of row index[r] of a table if there is one. */
void add_gated(float *x, const bf16 *y, int64_t rows, int64_t width, const bf16 *table, int64_t stride,
               const int64_t *index, int64_t gate) {
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const bf16 *entry = table ? table + index[r] * stride + gate : NULL;
        float *row = x + r * width;
        const bf16 *from = y + r * width;
        for (int64_t c = 0; c < width; c += LANES) {
            __m512 sum = _mm512_loadu_ps(row + c), part = widen(from + c);
            sum = entry ? _mm512_fmadd_ps(part, widen(entry + c), sum) : _mm512_add_ps(sum, part);
            _mm512_storeu_ps(row + c, sum);
        }
    }
}
