/* One link: its two rings, its doorbell towards the server, and the table of its streams. */
#ifndef AWAITD_LINK_H
#define AWAITD_LINK_H

#include "descriptor.h"
#include "ring.h"

struct link {
    struct ring in;  /* to the worker: we consume */
    struct ring out; /* to the server: we produce */
    uint8_t *map;
    size_t map_size;
    int doorbell; /* towards the server; owned */
    uint32_t frame_max;
    bool dirty; /* frames written, not yet published */
    bool pong_owed;
    uint64_t pong_token;
    uint32_t pong_stream;
    void **streams; /* by slot; what they are is the owner's business */
    uint32_t slots;
    struct passing *passing;
    uint32_t passed;       /* descriptors, since the server had come to all of them */
    uint64_t passed_until; /* in the ring towards the server: where the FILE frame of the last of them ends */
};

/* Maps memfd. Returns NULL, or what is wrong (a constant text). Takes over doorbell; leaves memfd open. */
const char *link_attach(struct link *l, int memfd, uint32_t ring_size, int doorbell, struct passing *passing);
void link_detach(struct link *l);

/* Shows the frames written so far, and rings if the server sleeps. */
void link_publish(struct link *l);

/* Rings the server if it waits for the room that was given back. */
void link_release(struct link *l);

/* Room for a frame in the ring towards the server, header written; NULL if it is full. */
uint8_t *link_frame(struct link *l, struct frame header);

/* Ends a stream with a part of an open file: passes the descriptor, and writes the FILE frame that names it. 1: done, the
 * descriptor may be closed; 0: there is no room (the server will ring); -1 with errno: it can't be passed. */
int link_file(struct link *l, uint32_t stream, const struct file_part *part);

/* Refuses a stream; if the ring is full the server's own deadline has to do. */
void link_refuse(struct link *l, uint32_t stream, const char *text);

/* Answers a PING, now or (ring full) at the next link_retry_pong. */
void link_pong(struct link *l, const uint8_t *ping);
void link_retry_pong(struct link *l);

/* The stream's entry, or NULL. */
static inline void *link_stream(const struct link *l, uint32_t stream)
{
    uint32_t slot = stream & SLOT_MASK;
    return slot < l->slots ? l->streams[slot] : NULL;
}

/* Sets the stream's entry; false if there is no memory. */
bool link_enter(struct link *l, uint32_t stream, void *entry);
void link_leave(struct link *l, uint32_t stream);

/* Rings an eventfd; a full counter is as good as a rung bell. */
void doorbell_ring(int fd);
void doorbell_clear(int fd);

#endif
