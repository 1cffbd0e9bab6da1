#include "ring.h"

void ring_attach(struct ring *r, uint8_t *base, size_t offset, uint8_t *data, uint32_t size)
{
    r->head = (_Atomic uint64_t *)(void *)(base + offset);
    r->tail = (_Atomic uint64_t *)(void *)(base + offset + 64);
    r->consumer_waiting = (_Atomic uint32_t *)(void *)(base + offset + 128);
    r->producer_waiting = (_Atomic uint32_t *)(void *)(base + offset + 192);
    r->data = data;
    r->size = size;
    r->read = atomic_load(r->head);
    r->written = atomic_load(r->tail);
}

const uint8_t *ring_peek(struct ring *r)
{
    for (;;) {
        if (r->read == r->written) {
            r->written = atomic_load_explicit(r->tail, memory_order_acquire);
            if (r->read == r->written)
                return NULL;
        }
        const uint8_t *frame = r->data + (r->read & (r->size - 1));
        if (load32(frame + 4) != FRAME_PAD)
            return frame;
        r->read += load32(frame);
    }
}

bool ring_sleep(struct ring *r)
{
    atomic_store(r->consumer_waiting, 1);
    if (atomic_load(r->tail) == r->read)
        return true;
    atomic_store(r->consumer_waiting, 0);
    return false;
}

static bool has_room(struct ring *r, uint64_t need)
{
    return r->size - (r->written - r->read) >= need;
}

/* Looks at the consumer's head again; if that doesn't help, asks to be rung and looks once more. */
static bool find_room(struct ring *r, uint64_t need)
{
    r->read = atomic_load_explicit(r->head, memory_order_acquire);
    if (has_room(r, need))
        return true;
    /* What waits unpublished can't be consumed, so nobody would ring: the caller publishes after a failure. If there is room now,
     * the flag stays up all the same: others may wait for more of it, and a bell too many does no harm. */
    atomic_store(r->producer_waiting, 1);
    r->read = atomic_load(r->head);
    return has_room(r, need);
}

uint8_t *ring_reserve(struct ring *r, uint32_t size)
{
    uint32_t position = (uint32_t)(r->written & (r->size - 1));
    uint32_t rest = r->size - position;
    uint32_t pad = rest < size ? rest : 0;
    uint64_t need = (uint64_t)pad + size;
    if (!has_room(r, need) && !find_room(r, need))
        return NULL;
    if (pad) {
        store32(r->data + position, pad);
        store32(r->data + position + 4, FRAME_PAD);
        r->written += pad;
        position = 0;
    }
    r->written += size;
    return r->data + position;
}

bool ring_taken(struct ring *r, uint64_t position)
{
    if (atomic_load_explicit(r->head, memory_order_acquire) >= position)
        return true;
    atomic_store(r->producer_waiting, 1); /* and it stays, as in find_room */
    return atomic_load(r->head) >= position;
}
