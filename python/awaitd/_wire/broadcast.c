/* broadcast(): one message for many WebSockets. It crosses the ring once for all those of a link that can take it at once; the
 * server frames, and compresses, it once for all who get it alike.
 *
 * While frames are written no Python code may run, so the connections are found before, and who was left out is told behind. */
#include "broadcast.h"
#include "exchange.h"

enum { RECIPIENTS = 8 }; /* of a BROADCAST's payload: their number, before the ids */

/* How far a recipient is. Who can't share a frame gets one alone. */
enum fate { FATE_NEW, FATE_CHOSEN, FATE_ALONE, FATE_DONE, FATE_BEHIND };

struct recipient {
    Exchange *exchange; /* owned */
    enum fate fate;
};

struct broadcast {
    PyObject *owner; /* bytes, or str that is sent as UTF-8 */
    struct payload message;
    struct recipient *recipients;
    Py_ssize_t count;
};

/* The scope of a connection: that itself, or what has it as an attribute. */
static PyObject *scope_of(PyObject *connection)
{
    if (PyDict_Check(connection))
        return Py_NewRef(connection);
    PyObject *scope = PyObject_GetAttrString(connection, "scope");
    if (scope && !PyDict_Check(scope))
        Py_CLEAR(scope);
    if (!scope && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError)))
        PyErr_Format(PyExc_TypeError,
                     "broadcast() wants ASGI scopes, or objects with one as their attribute 'scope', not %.100s",
                     Py_TYPE(connection)->tp_name);
    return scope;
}

/* The exchange that a scope belongs to; a new reference. */
static Exchange *exchange_of(State *s, PyObject *connection)
{
    PyObject *extensions = NULL, *handle = NULL, *scope = scope_of(connection);
    if (!scope)
        return NULL;
    int found = PyDict_GetItemRef(scope, s->str.extensions, &extensions);
    if (found > 0 && PyDict_Check(extensions))
        found = PyDict_GetItemRef(extensions, s->str.broadcast, &handle);
    if (found >= 0 && (!handle || !Py_IS_TYPE(handle, s->exchange_type))) {
        PyErr_SetString(PyExc_RuntimeError,
                        "broadcast() is for the WebSockets of awaitd: a scope has no extension 'awaitd.broadcast'");
        Py_CLEAR(handle);
    }
    Py_XDECREF(extensions);
    Py_DECREF(scope);
    return (Exchange *)handle;
}

static int find_all(State *s, struct broadcast *b, PyObject *connections)
{
    Py_ssize_t count = PyList_GET_SIZE(connections);
    b->recipients = PyMem_Calloc((size_t)count + 1, sizeof *b->recipients);
    if (!b->recipients) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct recipient *r = &b->recipients[i];
        r->exchange = exchange_of(s, PyList_GET_ITEM(connections, i));
        if (!r->exchange)
            return -1;
        b->count++;
    }
    return 0;
}

static int set_message(struct broadcast *b, PyObject *message)
{
    if (PyUnicode_Check(message)) {
        b->owner = PyUnicode_FromObject(message);
        b->message.message = MESSAGE_TEXT;
        b->message.bytes = b->owner ? (const uint8_t *)PyUnicode_AsUTF8AndSize(b->owner, &b->message.length) : NULL;
        return b->message.bytes ? 0 : -1;
    }
    if (!PyObject_CheckBuffer(message)) {
        PyErr_Format(PyExc_TypeError, "message of broadcast() must be str or bytes, not %.100s", Py_TYPE(message)->tp_name);
        return -1;
    }
    b->owner = PyBytes_CheckExact(message) ? Py_NewRef(message) : PyBytes_FromObject(message);
    if (!b->owner)
        return -1;
    b->message.message = MESSAGE_BINARY;
    b->message.bytes = (const uint8_t *)PyBytes_AS_STRING(b->owner);
    b->message.length = PyBytes_GET_SIZE(b->owner);
    return 0;
}

/* Whether a message can still be sent there; if not, nobody misses it. */
static bool is_open(const Exchange *x)
{
    return x->accepted && !x->complete && !x->app_ended && !x->stream_over && !x->lost;
}

/* How many recipients a frame on the link has room for. */
static uint32_t most_of(const struct broadcast *b, const struct link *k)
{
    Py_ssize_t rest = (Py_ssize_t)k->frame_max - FRAME_HEADER - RECIPIENTS - b->message.length;
    return rest < 4 ? 0 : (uint32_t)rest / 4;
}

static bool can_share(const struct broadcast *b, const Exchange *x, uint32_t most)
{
    return most && !x->first_piece && x->credit >= (uint64_t)b->message.length;
}

/* Chooses those of a link, from the recipient at *at on, who share the next frame, and takes their credit. */
static uint32_t choose(struct broadcast *b, const struct link *k, Py_ssize_t *at)
{
    uint32_t chosen = 0, most = most_of(b, k);
    Py_ssize_t i = *at;
    for (; i < b->count && (chosen < most || !most); i++) {
        struct recipient *r = &b->recipients[i];
        if (r->fate != FATE_NEW || r->exchange->link != k)
            continue;
        bool shares = can_share(b, r->exchange, most);
        r->fate = shares ? FATE_CHOSEN : FATE_ALONE;
        r->exchange->credit -= shares ? (uint64_t)b->message.length : 0;
        chosen += shares;
    }
    *at = i;
    return chosen;
}

/* Room for a frame, with all in it but the ids, which go to *ids; false if the ring is full. */
static bool reserve(const struct broadcast *b, struct link *k, uint32_t recipients, uint8_t **ids)
{
    uint32_t size = frame_padded(FRAME_HEADER + RECIPIENTS + 4 * recipients + (uint32_t)b->message.length);
    uint8_t *p = link_frame(k, (struct frame){size, 0, FRAME_BROADCAST, 0, b->message.message, (uint32_t)b->message.length});
    if (!p)
        return false;
    store64(p + FRAME_HEADER, recipients);
    *ids = p + FRAME_HEADER + RECIPIENTS;
    memcpy(*ids + 4 * recipients, b->message.bytes, (size_t)b->message.length);
    return true;
}

/* Writes the frame for the chosen ones among the recipients. */
static void settle(struct broadcast *b, struct link *k, uint32_t chosen, Py_ssize_t from, Py_ssize_t to)
{
    uint8_t *id = NULL;
    bool written = chosen && reserve(b, k, chosen, &id);
    for (Py_ssize_t i = from; i < to; i++) {
        struct recipient *r = &b->recipients[i];
        if (r->fate != FATE_CHOSEN)
            continue;
        r->fate = written ? FATE_DONE : FATE_ALONE;
        if (written) {
            store32(id, r->exchange->stream);
            id += 4;
        } else {
            r->exchange->credit += (uint64_t)b->message.length;
        }
    }
}

/* One frame for all of a link that can take the message at once; several if they are too many for one. */
static void share(struct broadcast *b, struct link *k, Py_ssize_t from)
{
    AsyncLoop *l = b->recipients[from].exchange->loop;
    while (from < b->count) {
        Py_ssize_t to = from;
        uint32_t chosen = choose(b, k, &to);
        settle(b, k, chosen, from, to);
        from = to;
    }
    loop_publish(l, k);
}

/* A message of its own for who is still to be told. Nobody has more than one waiting. -1 without memory. */
static int tell(struct broadcast *b, struct recipient *r)
{
    if (r->exchange->first_piece) {
        r->fate = FATE_BEHIND;
        return 0;
    }
    int result = output_payload(r->exchange, b->owner, b->message, 0);
    output_commit(r->exchange);
    r->fate = FATE_DONE;
    return result;
}

static int tell_all(struct broadcast *b)
{
    int result = 0;
    for (Py_ssize_t i = 0; i < b->count; i++)
        if (!is_open(b->recipients[i].exchange))
            b->recipients[i].fate = FATE_DONE;
    for (Py_ssize_t i = 0; i < b->count; i++)
        if (b->recipients[i].fate == FATE_NEW)
            share(b, b->recipients[i].exchange->link, i);
    for (Py_ssize_t i = 0; !result && i < b->count; i++)
        if (b->recipients[i].fate == FATE_ALONE)
            result = tell(b, &b->recipients[i]);
    return result;
}

static PyObject *left_out(struct broadcast *b, PyObject *connections)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < b->count; i++)
        if (b->recipients[i].fate == FATE_BEHIND && PyList_Append(list, PyList_GET_ITEM(connections, i)) < 0)
            Py_CLEAR(list);
    return list;
}

static PyObject *broadcast_to(State *s, PyObject *connections, PyObject *message)
{
    struct broadcast b = {0};
    PyObject *behind = NULL;
    if (find_all(s, &b, connections) == 0 && set_message(&b, message) == 0 && tell_all(&b) == 0)
        behind = left_out(&b, connections);
    for (Py_ssize_t i = 0; i < b.count; i++)
        Py_DECREF(b.recipients[i].exchange);
    PyMem_Free(b.recipients);
    Py_XDECREF(b.owner);
    return behind;
}

PyObject *broadcast(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "broadcast() takes connections and a message");
        return NULL;
    }
    PyObject *connections = PySequence_List(args[0]); /* of our own: it does not change */
    PyObject *behind = connections ? broadcast_to(PyModule_GetState(module), connections, args[1]) : NULL;
    Py_XDECREF(connections);
    return behind;
}
