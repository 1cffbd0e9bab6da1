#define _GNU_SOURCE
#include "link.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_PAGE = 4096, TO_WORKER = 64, TO_SERVER = 320, RING_MIN = 16 << 10, RING_MAX = 16 << 20, SLOTS_FIRST = 256 };

static const char *check_header(const uint8_t *map, uint32_t ring_size)
{
    if (load32(map) != WIRE_MAGIC)
        return "the link's memory does not start with the magic number";
    if (load32(map + 4) != WIRE_VERSION)
        return "the link's memory is of another wire version";
    if (load32(map + 8) != ring_size)
        return "the link's memory names another ring size";
    return NULL;
}

const char *link_attach(struct link *l, int memfd, uint32_t ring_size, int doorbell, struct passing *passing)
{
    struct stat st;
    size_t size = HEADER_PAGE + 2 * (size_t)ring_size;
    if (ring_size < RING_MIN || ring_size > RING_MAX || (ring_size & (ring_size - 1)))
        return "the ring size is no power of two between 16 KiB and 16 MiB";
    if (fstat(memfd, &st) < 0 || (size_t)st.st_size < size)
        return "the link's memory is too small";
    uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (map == MAP_FAILED)
        return "the link's memory can't be mapped";
#ifdef MADV_DONTFORK
    madvise(map, size, MADV_DONTFORK);
#endif
    const char *problem = check_header(map, ring_size);
    if (problem) {
        munmap(map, size);
        return problem;
    }
    *l = (struct link){.map = map, .map_size = size, .doorbell = doorbell, .frame_max = ring_size / 4, .passing = passing};
    ring_attach(&l->in, map, TO_WORKER, map + HEADER_PAGE, ring_size);
    ring_attach(&l->out, map, TO_SERVER, map + HEADER_PAGE + ring_size, ring_size);
    return NULL;
}

void link_detach(struct link *l)
{
    if (!l->map)
        return;
    munmap(l->map, l->map_size);
    close(l->doorbell);
    free(l->streams);
    l->map = NULL;
    l->streams = NULL;
    l->slots = 0;
}

void doorbell_ring(int fd)
{
    uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0)
        return;
}

void doorbell_clear(int fd)
{
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
}

void link_publish(struct link *l)
{
    if (!l->dirty)
        return;
    l->dirty = false;
    if (ring_publish(&l->out))
        doorbell_ring(l->doorbell);
}

void link_release(struct link *l)
{
    if (ring_producer_waits(&l->in))
        doorbell_ring(l->doorbell);
}

uint8_t *link_frame(struct link *l, struct frame header)
{
    uint8_t *p = ring_reserve(&l->out, header.size);
    l->dirty = true;
    if (p)
        frame_write(p, header);
    return p;
}

/* True if the server has room for one more descriptor that it has not yet been asked for. */
static bool may_pass(struct link *l)
{
    if (l->passed < l->passing->most)
        return true;
    if (!ring_taken(&l->out, l->passed_until))
        return false;
    l->passed = 0;
    return true;
}

int link_file(struct link *l, uint32_t stream, const struct file_part *part)
{
    enum { SIZE = FRAME_HEADER + FILE_PAYLOAD + 8 };
    uint64_t token;
    l->dirty = true;
    if (!may_pass(l))
        return 0;
    uint8_t *p = link_frame(l, (struct frame){SIZE, stream, FRAME_FILE, FLAG_END_STREAM, FILE_TOKEN, 8});
    if (!p)
        return 0;
    if (descriptor_pass(l->passing, part->fd, &token) < 0) {
        ring_cancel(&l->out, SIZE);
        return -1;
    }
    store64(p + FRAME_HEADER, part->offset);
    store64(p + FRAME_HEADER + 8, part->count);
    store64(p + FRAME_HEADER + FILE_PAYLOAD, token);
    l->passed++;
    l->passed_until = l->out.written;
    return 1;
}

void link_refuse(struct link *l, uint32_t stream, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    struct frame header = {frame_padded(FRAME_HEADER + length), stream, FRAME_RESET, 0, RESET_REFUSED, length};
    uint8_t *p = link_frame(l, header);
    if (p)
        memcpy(p + FRAME_HEADER, text, length);
}

void link_retry_pong(struct link *l)
{
    if (!l->pong_owed)
        return;
    struct frame header = {24, l->pong_stream, FRAME_PONG, 0, 0, 8};
    uint8_t *p = link_frame(l, header);
    if (!p)
        return;
    store64(p + FRAME_HEADER, l->pong_token);
    l->pong_owed = false;
}

void link_pong(struct link *l, const uint8_t *ping)
{
    l->pong_owed = true;
    l->pong_stream = load32(ping + 4);
    l->pong_token = load64(ping + FRAME_HEADER);
    link_retry_pong(l);
}

bool link_enter(struct link *l, uint32_t stream, void *entry)
{
    uint32_t slot = stream & SLOT_MASK;
    if (slot >= l->slots) {
        uint32_t slots = l->slots ? l->slots : SLOTS_FIRST;
        while (slots <= slot)
            slots *= 2;
        void **grown = realloc(l->streams, slots * sizeof *grown);
        if (!grown)
            return false;
        memset(grown + l->slots, 0, (slots - l->slots) * sizeof *grown);
        l->streams = grown;
        l->slots = slots;
    }
    l->streams[slot] = entry;
    return true;
}

void link_leave(struct link *l, uint32_t stream)
{
    uint32_t slot = stream & SLOT_MASK;
    if (slot < l->slots)
        l->streams[slot] = NULL;
}
