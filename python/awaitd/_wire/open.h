/* The OPEN frame, taken apart. Nothing is copied: the pointers are valid as long as the frame is. */
#ifndef AWAITD_OPEN_H
#define AWAITD_OPEN_H

#include <stdbool.h>

#include "frame.h"

struct span {
    const uint8_t *start;
    uint32_t length;
};

struct endpoint_address {
    uint8_t family; /* enum address_family */
    uint16_t port;
    const uint8_t *bytes; /* 16 of them */
};

struct open {
    uint32_t stream;
    uint64_t id;
    uint8_t kind;
    uint16_t target; /* 0: the application; else a target by its number */
    uint8_t version; /* 10, 11, 20, 30 */
    bool secure;
    bool complete; /* the body inside is the whole body */
    uint16_t field_count;
    uint32_t credit;
    uint64_t content_length;
    struct endpoint_address client, server;
    const uint8_t *table; /* field table */
    struct span method, path, query, fields, extra, body;
};

/* Fills o from a frame of the server, which a worker believes; false only if the lengths can't be right. */
bool open_parse(struct open *o, const uint8_t *frame);

/* The bytes of an entry in the extra section; length 0 if it isn't there. */
struct span open_extra(const struct open *o, uint16_t tag);

/* Takes the next row off EXTRA_VARIABLES; false when none is left. */
bool open_variable(struct span *rows, struct span *name, struct span *value);

#endif
