/* The objects of an asynchronous worker loop: the loop with its links, one exchange per request or WebSocket, and the awaitables
 * of receive() and send().
 *
 * An Exchange is also the coroutine that its task runs: each step goes through exchange.c to the application's coroutine. So
 * the end of the application, a raised exception and every suspension are seen at once, without callbacks.
 *
 * Ownership: the loop's list of running exchanges owns one reference until the application has ended; the link's stream table
 * owns one until the stream is over; the link's list of blocked exchanges owns one while it waits for room in the ring. */
#ifndef AWAITD_EXCHANGE_H
#define AWAITD_EXCHANGE_H

#include "fields.h"
#include "file.h"
#include "link.h"
#include "registry.h"
#include "state.h"

enum {
    MESSAGE_MAX = 64 << 10,
    WINDOW = (64 << 10) - FRAME_HEADER, /* a window's worth fits one frame of the usual ring */
    UDP_WINDOW = 256 << 10,             /* of a socket, which has many peers */
    DATAGRAM_COST = 64,                 /* what a datagram costs of it at least */
};

/* What is queued for the server because credit or room in the ring is missing: a body, a message, a file, or a whole frame in
 * data. */
struct piece {
    struct piece *next;
    PyObject *bytes;       /* of a body or message: bytes, or str that is sent as UTF-8; else NULL */
    Py_ssize_t offset;     /* bytes already sent */
    uint8_t message;       /* enum message_form, or 0: a body */
    bool end;              /* of a body: ends the stream */
    bool last;             /* a frame that ends the stream */
    bool is_file;          /* the stream ends with a part of a file */
    struct file_part file; /* its descriptor is ours */
    uint32_t size;
    uint8_t data[];
};

/* Bytes on their way to the server. */
struct payload {
    const uint8_t *bytes;
    Py_ssize_t length;
    uint8_t message; /* enum message_form, or 0: a part of a body */
    bool end;        /* of a body: ends the stream */
};

/* A whole message of a WebSocket's client that the application has not yet received. */
struct inbound {
    struct inbound *next;
    PyObject *data; /* str or bytes */
    uint32_t cost;  /* credit that the server has spent on it */
    uint16_t form;
};

/* The one message of which parts have come, but not yet the last. Of a TCP connection: what a read has looked at and left. */
struct assembly {
    PyObject *buffer; /* bytes object, longer than what it holds */
    Py_ssize_t length;
    uint32_t cost;    /* not yet granted again */
    Py_ssize_t start; /* TCP: what was taken */
};

enum wait_kind { WAIT_RECEIVE, WAIT_SEND, WAIT_CLOSED, WAIT_KINDS };

/* What is waited for with WAIT_RECEIVE: a message, or of a StreamReader's coroutines. */
enum read_kind { READ_MESSAGE, READ_SOME, READ_ALL, READ_EXACTLY, READ_UNTIL, READ_LINE, READ_ITEM };

/* A read of a StreamReader. */
struct read {
    PyObject *separator; /* READ_UNTIL: bytes; owned */
    Py_ssize_t size;     /* READ_SOME, READ_EXACTLY: how much; else how much was looked at in vain */
    uint8_t kind;
};

enum task_mode { TASK_PLAIN, TASK_CAPTURED, TASK_EAGER, TASK_FACTORY };

struct exchange;
struct wait;

struct blocked_list {
    struct exchange *first, *last;
};

/* What takes some streams in the application's place: a handler of asyncio's streams, the factory of a DatagramProtocol, or an ASGI
 * application. */
struct target {
    PyObject *callable;
    bool streams;
};

typedef struct async_loop { /* one event loop with its links */
    PyObject_HEAD
    State *state;
    PyObject *module;
    PyObject *application;
    struct target *targets;
    Py_ssize_t target_count;
    PyObject *event_loop;
    PyObject *event_loop_dict; /* 3.11: where call_soon is put; NULL if it has none */
    PyObject *capture;         /* 3.11: the capturing call_soon */
    PyObject *call_soon;       /* the event loop's own, bound */
    PyObject *captured_step, *captured_context, *capturing_for;
    struct registry registry;    /* 3.11 */
    PyTypeObject *step_type;     /* 3.11: TaskStepMethWrapper, learned from the first task; borrowed */
    PyObject *scope;             /* template of an HTTP scope */
    PyObject *socket_scope;      /* of a WebSocket's */
    PyObject *lifespan_state;    /* dict or NULL */
    PyObject *extensions;        /* template */
    PyObject *socket_extensions; /* template */
    PyObject *root_path;
    PyObject *report;  /* callable(id, exception or None, text) */
    PyObject *debug;   /* callable(id, info) or NULL: the extension is off */
    PyObject *on_idle; /* callable or NULL */
    struct link *links;
    struct blocked_list *blocked; /* by link */
    Py_ssize_t link_count;
    Py_ssize_t next_link;     /* where the next turn starts */
    uint64_t published;       /* when the turn last published, in nanoseconds */
    int unpublished;          /* requests taken since */
    struct exchange *running; /* doubly linked */
    struct exchange *held;    /* with a response start to be flushed at the end of the turn */
    Py_ssize_t in_flight;     /* exchanges whose application or stream has not ended */
    uint64_t started;
    int doorbell;
    uint32_t message_cost; /* what a message towards the worker costs at least */
    enum task_mode mode;
    bool eager; /* this Python has eager_start */
    bool in_turn;
    bool turn_scheduled, flush_scheduled, idle_scheduled;
    bool closed;
} AsyncLoop;

typedef struct exchange {
    PyObject_HEAD
    AsyncLoop *loop;
    struct link *link;
    PyObject *scope;     /* until the application is called; a handler has a list there, see stream_scope */
    PyObject *coroutine; /* the application's; NULL before and after */
    PyObject *task;
    struct wait *waiters[WAIT_KINDS]; /* those who wait, owned */
    union {
        struct {              /* http: the request body */
            PyObject *chunk;  /* first part not yet received */
            PyObject *chunks; /* the further ones: list, or NULL */
            Py_ssize_t next_chunk;
        };
        struct { /* all others */
            struct inbound *first_in, *last_in;
            struct assembly *assembly;
        };
    };
    union {
        PyObject *transport;    /* UDP, of a protocol that has not heard of its end */
        PyObject *trailers;     /* http: list of those sent so far, or NULL */
        PyObject *subprotocols; /* WebSocket, before it is accepted: what the client offers; list */
        PyObject *close_reason; /* WebSocket with a close_code: str, or NULL */
    };
    uint8_t *head; /* encoded fields of a response start that is held, and its reason phrase; PyMem */
    uint32_t head_size;
    uint16_t head_fields;
    uint16_t head_phrase; /* bytes of the phrase; 0: the usual one */
    uint16_t status;
    uint16_t close_code; /* WebSocket that was closed; 0: not, or without a code */
    struct piece *first_piece, *last_piece;
    struct exchange *previous, *next; /* running */
    struct exchange *next_held, *next_blocked;
    uint64_t id;
    uint64_t credit;
    uint32_t stream;
    uint32_t consumed; /* bytes received since the last grant */
    uint32_t grant_owed;
    uint32_t taken_in; /* TCP: bytes of the first inbound that were taken */
    uint16_t target;
    uint8_t kind;    /* enum exchange_kind */
    uint8_t handles; /* StreamReaders and StreamWriters that the application has; 1 for a transport */
    bool socket;     /* carries messages: all but http */
    bool streams;    /* the application is asyncio's: a handler of streams, or a DatagramProtocol */
    bool detached;   /* the handler has returned, and somebody has its StreamWriter; or its DatagramProtocol is connected */
    bool eof_sent;   /* TCP: by the application */
    bool stepping;   /* the application's coroutine is being run */
    bool linked;     /* in the list of running ones */
    bool app_ended;
    bool stream_over;    /* our end, or a RESET, is written or was read */
    bool lost;           /* the client is gone */
    bool overdue;        /* the same, for the deadline: the server waits for the application's end */
    bool body_whole;     /* all of the request body is here */
    bool body_delivered; /* the message with more_body False was received */
    bool body_granted;   /* the first grant was made */
    bool connected;      /* WebSocket: websocket.connect was received */
    bool accepted;       /* WebSocket */
    bool closed;         /* WebSocket: by the application */
    bool start_sent;     /* http.response.start was accepted */
    bool head_held;      /* and is not yet a frame */
    bool is_held;        /* in the loop's list of held ones */
    bool with_trailers;
    bool body_sent;   /* the last body message was accepted */
    bool complete;    /* all that the application may send was accepted */
    bool is_blocked;  /* in the link's list */
    bool end_written; /* the last frame of our side is in the ring */
} Exchange;

/* loop.c */
void loop_publish(AsyncLoop *l, struct link *k); /* at once, unless a turn will */
int loop_schedule_flush(AsyncLoop *l);           /* call_soon, once per turn */
void loop_block(Exchange *x);                    /* retry when the ring has room */
void loop_exchange_ended(AsyncLoop *l);          /* one less in flight */

/* eager.c */
int task_setup(AsyncLoop *l);                    /* learns what the event loop can do */
void task_refresh(AsyncLoop *l);                 /* once per turn: is a task factory set? */
PyObject *task_start(AsyncLoop *l, Exchange *x); /* a real task, its first step already run if possible */

/* scope.c */
int scope_setup(AsyncLoop *l); /* the templates */
PyObject *scope_build(AsyncLoop *l, const struct open *o);
PyObject *scope_client(State *s, const struct open *o); /* (host, port) */
PyObject *scope_server(State *s, const struct open *o);

/* target.c */
int targets_take(AsyncLoop *l, PyObject *targets);        /* [(callable, takes reader and writer), ...] */
bool target_streams(const AsyncLoop *l, uint16_t target); /* true if it takes reader and writer */
/* The coroutine that the exchange runs, made by the first step of its task: so it runs in the task's context. 1: a handler that is a
 * plain function has returned. */
int target_call(Exchange *x);

/* exchange.c */
Exchange *exchange_new(AsyncLoop *l, struct link *k, const struct open *o);
bool exchange_frame(Exchange *x, const uint8_t *payload, struct frame f); /* of the request body; true: news for receive() */
void exchange_window(Exchange *x, uint32_t credit);
void exchange_reset(Exchange *x, uint16_t code);
void exchange_leave_stream(Exchange *x);                                  /* the stream is over */
void exchange_report(Exchange *x, PyObject *exception, const char *text); /* to the worker's log */
void exchange_released(Exchange *x); /* a handler that has returned has nothing of the connection any more */

/* receive.c */
PyObject *receive_poll(Exchange *x); /* a message, or NULL: nothing yet, or an exception */
extern PyMethodDef receive_method;

/* socket.c: a WebSocket's client, and what all streams of messages have in common */
bool socket_frame(Exchange *x, const uint8_t *payload, struct frame f); /* true: news for receive() */
PyObject *socket_poll(Exchange *x);                                     /* as receive_poll */
void socket_clear(Exchange *x);                                         /* what was not received */
/* The end by our side, behind what was sent. Takes over reason: str, or NULL. */
int socket_end(Exchange *x, uint16_t code, PyObject *reason);

void socket_taken(Exchange *x, uint32_t cost); /* grants again what is no longer here */
struct inbound *socket_take(Exchange *x);      /* the first message, off the queue */

/* stream.c: TCP connections and SMTP sessions as ASGI has them (docs/reference/asgi-streams.md) */
PyObject *stream_poll(Exchange *x);                              /* as receive_poll; TCP */
int stream_send(Exchange *x, PyObject *message, PyObject *type); /* as socket_send; TCP, SMTP */
const char *stream_expected(Exchange *x);
/* For a handler: [client, server, details of TLS or None, what hears of TLS or None]. */
PyObject *stream_scope(AsyncLoop *l, const struct open *o);
/* TCP: what the server says of start_tls(), NULL at the end of the connection; a handler hears of it. */
void stream_tell(Exchange *x, const uint8_t *text, Py_ssize_t length);

/* reader.c, writer.c: TCP connections as asyncio's streams */
PyObject *reader_new(Exchange *x);
PyObject *writer_new(Exchange *x);
PyObject *reader_poll(Exchange *x, struct read *r); /* what is read, or NULL: nothing yet, or an exception */
const char *reader_name(uint8_t kind);              /* of a read, in messages */
void reader_drop(Exchange *x);                      /* a handle is gone */
PyObject *reader_unread(Exchange *x);               /* all that has come and was not read, off the queue */
int raise_lost(void);                               /* ConnectionResetError; -1 */

/* writer.c */
PyObject *socket_name(PyObject *address); /* as socket.getpeername() has it */

enum { PEER = 24, DATAGRAM_MAX = 65507 }; /* bytes before each datagram; of the longest */

/* datagram.c: datagrams, and a UDP socket as ASGI has it */
int peer_parse(uint8_t out[PEER], PyObject *address); /* (host, port), (host, port, flow, zone); -1 with an exception */
Py_ssize_t datagram_waiting(Exchange *x);             /* bytes that wait for credit or for room */
/* Sends a datagram; *queued counts what waits. -1 with an exception; 1: it was dropped. */
int datagram_write(Exchange *x, const uint8_t *peer, const Py_buffer *view, Py_ssize_t *queued);
/* What has come: the message for receive(), None if a protocol was called with it, or NULL with an exception. */
PyObject *datagram_take(Exchange *x, const uint8_t *p, Py_ssize_t n);
PyObject *datagram_poll(Exchange *x);                              /* as receive_poll */
int datagram_send(Exchange *x, PyObject *message, PyObject *type); /* as socket_send */

/* transport.c: a UDP socket as asyncio has it */
int transport_start(Exchange *x, PyObject *factory); /* makes the protocol and connects it; -1 with an exception */
void transport_deliver(Exchange *x, const uint8_t *p, Py_ssize_t n);
void transport_drained(Exchange *x); /* what waited has left */
void transport_over(Exchange *x);    /* the stream is over */

/* socket_send.c: a WebSocket's application */
int socket_accept(Exchange *x);                                  /* without a handshake */
int socket_send(Exchange *x, PyObject *message, PyObject *type); /* what send() was given, in a state that allows some */
const char *socket_expected(Exchange *x);                        /* which messages those are */

/* send.c */
extern PyMethodDef send_method;
int send_held_head(Exchange *x); /* the head, now that no body came with it */
/* For both protocols: a response's start and body; a message in the wrong order; a value of a message, borrowed. */
int send_response_start(Exchange *x, PyObject *message, PyObject *type);
int send_response_body(Exchange *x, PyObject *message, PyObject *type);
int send_raise_order(Exchange *x, PyObject *type);
PyObject *send_field(PyObject *message, PyObject *key);

/* output.c: frames towards the server, in order, now or when there is room and credit */
/* Room for a frame of the exchange, in the ring or in its queue; NULL with an exception. Fill it, then output_commit. */
uint8_t *output_frame(Exchange *x, struct frame header);
/* Shows what was written; at the end of the stream, leaves it. */
void output_commit(Exchange *x);
/* The HEAD that is held, with as much of the body as fits; *sent says how much that is. */
int output_head(Exchange *x, const uint8_t *body, Py_ssize_t length, bool end, Py_ssize_t *sent);
/* A body or message from offset on; owner keeps its bytes alive. */
int output_payload(Exchange *x, PyObject *owner, struct payload p, Py_ssize_t offset);
int output_end(Exchange *x, const struct fields *trailers);
/* The rest of the body is a part of a file, which may be closed afterwards. */
int output_file(Exchange *x, const struct file_part *part);
void output_grant(Exchange *x, uint32_t credit);
/* A RESET overtakes everything; what is queued is dropped. */
void output_reset(Exchange *x, enum reset_code code, const char *text);
void output_flush(Exchange *x); /* what is queued, as far as it goes */
void output_drop(Exchange *x);

/* wait.c */
PyObject *wait_new(Exchange *x, enum wait_kind kind);
PyObject *wait_read(Exchange *x, struct read r);  /* takes over the separator */
PyObject *wait_ready(State *s);                   /* an awaitable that is finished */
void wait_wake(Exchange *x, enum wait_kind kind); /* all who wait ask again, when the event loop comes to them */
void wait_sent(Exchange *x);                      /* what was queued has gone: all who wait in send() are done */
/* The task that waits in receive() asks again, now. Only the event loop may be our caller, not a task. 1: a task went on; 0: none
 * could; -1 for what ends the process. */
int wait_resume(Exchange *x);
int wait_visit(Exchange *x, visitproc visit, void *arg);
void wait_drop(Exchange *x);

#endif
