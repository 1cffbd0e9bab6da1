/* Header and trailer fields of a response: checked at the caller, then encoded as a field table and field bytes. */
#ifndef AWAITD_FIELDS_H
#define AWAITD_FIELDS_H

#include "state.h"

enum { FIELDS_MAX = 4096 }; /* the server takes no more in one frame */

enum field_text { FIELD_BYTES, FIELD_LATIN1 }; /* ASGI: bytes; WSGI: str */

struct fields {
    uint8_t *data; /* PyMem; table, then names and values */
    uint32_t size;
    uint16_t count;
};

/* Encodes an iterable of (name, value). The caller frees data with PyMem_Free. -1 with an exception that names what was
 * expected, or which limit was crossed: size is at most limit. */
int fields_encode(struct fields *f, PyObject *headers, enum field_text text, uint32_t limit);

#endif
