/* Frames of the wire (docs/reference/wire.md): numbers, offsets, and the one way to read and write integers. */
#ifndef AWAITD_FRAME_H
#define AWAITD_FRAME_H

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire is little-endian, and so must be the machine"
#endif

#define WIRE_VERSION 1u
#define WIRE_MAGIC   0x4b4c5741u /* "AWLK" */

#define FRAME_ALIGN    8u
#define FRAME_HEADER   16u
#define FRAME_PAD      0xFFFFFFFFu /* stream of a pad */
#define RESET_TEXT_MAX 1024u
#define SLOT_MASK      0xFFFFFu /* bits of a stream id that name the slot */

enum frame_type {
    FRAME_OPEN = 1,
    FRAME_DATA = 2,
    FRAME_END = 3,
    FRAME_RESET = 4,
    FRAME_WINDOW = 5,
    FRAME_HEAD = 6,
    FRAME_INFORM = 7,
    FRAME_FILE = 8,
    FRAME_ACCEPT = 9,
    FRAME_MESSAGE = 10,
    FRAME_CLOSE = 11,
    FRAME_PING = 15,
    FRAME_PONG = 16,
    FRAME_BROADCAST = 18,
};

enum frame_flag {
    FLAG_END_STREAM = 1,
    FLAG_TRAILERS = 2,
    FLAG_MORE = 4,
    FLAG_WANTS_CONTINUE = 8,
    FLAG_WANTS_PINGS = 16,
};

enum reset_code {
    RESET_CANCELLED = 0,
    RESET_APP_ERROR = 1,
    RESET_DEADLINE = 2,
    RESET_STOPPING = 3,
    RESET_REFUSED = 4,
};

enum exchange_kind { KIND_HTTP = 1, KIND_WEBSOCKET = 2, KIND_TCP = 3, KIND_UDP = 4, KIND_SMTP = 5 };

/* What a MESSAGE holds: aux. */
enum message_form { MESSAGE_TEXT = 1, MESSAGE_BINARY = 2, MESSAGE_PING = 9, MESSAGE_PONG = 10 };

/* Codes of CLOSE (RFC 6455, 7.4.1). */
enum close_code {
    CLOSE_NORMAL = 1000,
    CLOSE_BROKEN = 1006, /* said to the application only: without a closing handshake */
    CLOSE_NOT_UTF8 = 1007,
    CLOSE_APP_ERROR = 1011,
};

enum claim { CLAIM_OPEN = 0, CLAIM_TAKEN = 1, CLAIM_REVOKED = 2 };

enum address_family { FAMILY_NONE = 0, FAMILY_UNIX = 1, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

enum extra_tag {
    EXTRA_UNIX_PATH = 1,
    EXTRA_ROOT_PATH = 2,
    EXTRA_CLIENT_TEXT = 3,
    EXTRA_TLS = 4,
    EXTRA_VARIABLES = 9,
    EXTRA_SERVER_TEXT = 10,
};

#define FILE_TOKEN   1u
#define FILE_PAYLOAD 16u /* offset and count, before the token */
#define HEAD_SIZE    24u
#define ACCEPT_SIZE  24u
#define REASON_MAX   123u  /* of a CLOSE, in bytes */
#define CONTROL_MAX  125u  /* of a ping, in bytes */
#define PHRASE_MAX   1024u /* of a reason phrase, in bytes */
#define OPEN_SIZE    96u
#define OPEN_CLAIM   16u

static inline uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void store16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void store32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void store64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline uint32_t frame_padded(uint32_t size)
{
    return (size + FRAME_ALIGN - 1) & ~(FRAME_ALIGN - 1);
}

/* The first 16 bytes of a frame. */
struct frame {
    uint32_t size;
    uint32_t stream;
    uint8_t type;
    uint8_t flags;
    uint16_t aux;
    uint32_t length;
};

static inline struct frame frame_read(const uint8_t *p)
{
    return (struct frame){load32(p), load32(p + 4), p[8], p[9], load16(p + 10), load32(p + 12)};
}

static inline void frame_write(uint8_t *p, struct frame f)
{
    store32(p, f.size);
    store32(p + 4, f.stream);
    p[8] = f.type;
    p[9] = f.flags;
    store16(p + 10, f.aux);
    store32(p + 12, f.length);
}

#endif
