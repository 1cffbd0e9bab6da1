/* One single-producer single-consumer byte ring in shared memory.
 *
 * Head and tail count bytes and only grow. The producer's new tail is seen by the consumer when it is published; the consumer's
 * new head gives the room back. Each side keeps its own index in private memory and reads only the other's. Two flags avoid
 * needless doorbells: a side that is about to sleep raises its flag and looks again; whoever turns the flag down rings. */
#ifndef AWAITD_RING_H
#define AWAITD_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

struct ring {
    _Atomic uint64_t *head;
    _Atomic uint64_t *tail;
    _Atomic uint32_t *consumer_waiting;
    _Atomic uint32_t *producer_waiting;
    uint8_t *data;
    uint32_t size;
    uint64_t read;    /* consumer: the head as it will be published; producer: the last head seen */
    uint64_t written; /* producer: the tail as it will be published; consumer: the last tail seen */
};

/* Points r at the ring whose indices start at base + offset. */
void ring_attach(struct ring *r, uint8_t *base, size_t offset, uint8_t *data, uint32_t size);

/* Consumer: the next frame that is no pad, or NULL if there is nothing to read. The room of pads is given back with that of the
 * frame behind them. */
const uint8_t *ring_peek(struct ring *r);

/* Consumer: gives back the room of the frame that ring_peek returned. */
static inline void ring_advance(struct ring *r, uint32_t size)
{
    r->read += size;
    atomic_store_explicit(r->head, r->read, memory_order_release);
}

/* Consumer: true if nothing is there to read; then the producer will ring for the next frame. */
bool ring_sleep(struct ring *r);

/* Consumer: true if the producer waits for room and must be rung. */
static inline bool ring_producer_waits(struct ring *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t waiting = 1;
    return atomic_load_explicit(r->producer_waiting, memory_order_relaxed) == 1 &&
           atomic_compare_exchange_strong(r->producer_waiting, &waiting, 0);
}

/* Producer: room for a frame of size bytes (a multiple of 8), already counted as written; NULL if the ring is full, and then
 * the consumer will ring when it has made room. */
uint8_t *ring_reserve(struct ring *r, uint32_t size);

/* Producer: takes back the reservation made last, of a frame of size bytes. */
static inline void ring_cancel(struct ring *r, uint32_t size)
{
    r->written -= size;
}

/* Producer: true if the consumer has taken everything before position; if not, it will ring when it has taken more. */
bool ring_taken(struct ring *r, uint64_t position);

/* Producer: shows everything reserved so far. True if the consumer must be rung. */
static inline bool ring_publish(struct ring *r)
{
    atomic_store_explicit(r->tail, r->written, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t waiting = 1;
    return atomic_load_explicit(r->consumer_waiting, memory_order_relaxed) == 1 &&
           atomic_compare_exchange_strong(r->consumer_waiting, &waiting, 0);
}

#endif
