/* What the module keeps: types, interned strings, caches. There is one per interpreter and module object, never a global. */
#ifndef AWAITD_STATE_H
#define AWAITD_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "descriptor.h"
#include "open.h"

/* Every string that is a key, a type of message or an attribute: STRING(identifier, text). */
#define STATE_STRINGS(STRING)                             \
    STRING(type, "type")                                  \
    STRING(http, "http")                                  \
    STRING(https, "https")                                \
    STRING(asgi, "asgi")                                  \
    STRING(http_version, "http_version")                  \
    STRING(method, "method")                              \
    STRING(scheme, "scheme")                              \
    STRING(path, "path")                                  \
    STRING(raw_path, "raw_path")                          \
    STRING(query_string, "query_string")                  \
    STRING(root_path, "root_path")                        \
    STRING(headers, "headers")                            \
    STRING(client, "client")                              \
    STRING(server, "server")                              \
    STRING(state, "state")                                \
    STRING(extensions, "extensions")                      \
    STRING(cgi, "awaitd.cgi")                             \
    STRING(tls, "tls")                                    \
    STRING(broadcast, "awaitd.broadcast")                 \
    STRING(variables, "variables")                        \
    STRING(status, "status")                              \
    STRING(trailers, "trailers")                          \
    STRING(more_trailers, "more_trailers")                \
    STRING(body, "body")                                  \
    STRING(more_body, "more_body")                        \
    STRING(links, "links")                                \
    STRING(http_request, "http.request")                  \
    STRING(http_disconnect, "http.disconnect")            \
    STRING(response_start, "http.response.start")         \
    STRING(response_body, "http.response.body")           \
    STRING(response_trailers, "http.response.trailers")   \
    STRING(early_hint, "http.response.early_hint")        \
    STRING(pathsend, "http.response.pathsend")            \
    STRING(zerocopysend, "http.response.zerocopysend")    \
    STRING(response_debug, "http.response.debug")         \
    STRING(websocket, "websocket")                        \
    STRING(ws, "ws")                                      \
    STRING(wss, "wss")                                    \
    STRING(subprotocols, "subprotocols")                  \
    STRING(subprotocol, "subprotocol")                    \
    STRING(text, "text")                                  \
    STRING(bytes, "bytes")                                \
    STRING(code, "code")                                  \
    STRING(reason, "reason")                              \
    STRING(socket_connect, "websocket.connect")           \
    STRING(socket_receive, "websocket.receive")           \
    STRING(socket_disconnect, "websocket.disconnect")     \
    STRING(socket_accept, "websocket.accept")             \
    STRING(socket_send, "websocket.send")                 \
    STRING(socket_close, "websocket.close")               \
    STRING(pings, "pings")                                \
    STRING(socket_ping, "awaitd.websocket.ping")          \
    STRING(socket_pong, "awaitd.websocket.pong")          \
    STRING(denial, "websocket.http.response")             \
    STRING(denial_start, "websocket.http.response.start") \
    STRING(denial_body, "websocket.http.response.body")   \
    STRING(file, "file")                                  \
    STRING(offset, "offset")                              \
    STRING(count, "count")                                \
    STRING(info, "info")                                  \
    STRING(call_soon, "call_soon")                        \
    STRING(create_task, "create_task")                    \
    STRING(get_task_factory, "get_task_factory")          \
    STRING(get_coro, "get_coro")                          \
    STRING(self, "__self__")                              \
    STRING(cancel, "cancel")                              \
    STRING(throw, "throw")                                \
    STRING(send, "send")                                  \
    STRING(close, "close")                                \
    STRING(tcp, "tcp")                                    \
    STRING(smtp, "smtp")                                  \
    STRING(data, "data")                                  \
    STRING(more, "more")                                  \
    STRING(await, "__await__")                            \
    STRING(udp, "udp")                                    \
    STRING(udp_receive, "udp.receive")                    \
    STRING(udp_disconnect, "udp.disconnect")              \
    STRING(udp_send, "udp.send")                          \
    STRING(udp_close, "udp.close")                        \
    STRING(datagram_received, "datagram_received")        \
    STRING(error_received, "error_received")              \
    STRING(connection_made, "connection_made")            \
    STRING(connection_lost, "connection_lost")            \
    STRING(pause_writing, "pause_writing")                \
    STRING(resume_writing, "resume_writing")              \
    STRING(tcp_receive, "tcp.receive")                    \
    STRING(tcp_disconnect, "tcp.disconnect")              \
    STRING(tcp_send, "tcp.send")                          \
    STRING(tcp_close, "tcp.close")                        \
    STRING(smtp_receive, "smtp.receive")                  \
    STRING(smtp_disconnect, "smtp.disconnect")            \
    STRING(smtp_send, "smtp.send")                        \
    STRING(smtp_close, "smtp.close")                      \
    STRING(request_method, "REQUEST_METHOD")              \
    STRING(script_name, "SCRIPT_NAME")                    \
    STRING(path_info, "PATH_INFO")                        \
    STRING(query, "QUERY_STRING")                         \
    STRING(raw_uri, "RAW_URI")                            \
    STRING(server_name, "SERVER_NAME")                    \
    STRING(server_port, "SERVER_PORT")                    \
    STRING(server_protocol, "SERVER_PROTOCOL")            \
    STRING(remote_addr, "REMOTE_ADDR")                    \
    STRING(remote_port, "REMOTE_PORT")                    \
    STRING(https_variable, "HTTPS")                       \
    STRING(content_type, "CONTENT_TYPE")                  \
    STRING(content_length, "CONTENT_LENGTH")              \
    STRING(cookie, "HTTP_COOKIE")                         \
    STRING(url_scheme, "wsgi.url_scheme")                 \
    STRING(input, "wsgi.input")                           \
    STRING(early_hints, "wsgi.early_hints")               \
    STRING(empty, "")

struct state_strings {
#define STRING(identifier, text) PyObject *identifier;
    STATE_STRINGS(STRING)
#undef STRING
};

/* Direct-mapped caches of objects that come again and again; each entry is an object or NULL. */
enum {
    NAME_CACHE = 512,
    FIELD_CACHE = 256,
    ADDRESS_CACHE = 256,
    METHOD_COUNT = 7,
    VARIABLE_CACHE = 256,
    VARIABLE_NAME_MAX = 47
};

struct cached_address {
    uint8_t family;
    uint16_t port;
    uint8_t bytes[16];
    PyObject *tuple; /* (host, port) */
    PyObject *host;
    PyObject *port_text; /* for WSGI; made on demand */
};

/* A request header as a CGI variable, with its last value. */
struct cached_variable {
    uint8_t length;
    uint8_t name[VARIABLE_NAME_MAX]; /* as on the wire */
    PyObject *key;                   /* "HTTP_USER_AGENT" */
    PyObject *value;
};

typedef struct state {
    PyTypeObject *async_loop_type;
    PyTypeObject *exchange_type;
    PyTypeObject *wait_type;
    PyTypeObject *reader_type;
    PyTypeObject *writer_type;
    PyTypeObject *transport_type;
    PyTypeObject *thread_loop_type;
    PyTypeObject *call_type;
    PyObject *client_disconnected; /* awaitd._errors.ClientDisconnected */
    PyObject *cancelled_error;     /* asyncio.CancelledError */
    PyObject *task_type;           /* asyncio.Task */
    PyObject *incomplete_read;     /* asyncio.IncompleteReadError */
    PyObject *limit_overrun;       /* asyncio.LimitOverrunError */
    PyObject *stream_reader;       /* asyncio.StreamReader, which ours pass for */
    PyObject *stream_writer;       /* asyncio.StreamWriter */
    PyObject *datagram_transport;  /* asyncio.DatagramTransport */
    PyObject *ready;               /* an awaitable that is finished, with None */
    PyObject *empty_bytes;
    PyObject *plain_keywords;   /* ("loop", "name") */
    PyObject *eager_keywords;   /* ("loop", "name", "eager_start") */
    PyObject *context_keywords; /* ("context",) */
    PyObject *text_message;     /* websocket.receive, to be copied */
    PyObject *bytes_message;
    PyObject *task_name;     /* one for all: making up "Task-17" takes longer than starting the task */
    PyObject *send_part;     /* awaitd._files.send_part */
    PyObject *tls_extension; /* awaitd._tls.extension */
    PyObject *tls_details;   /* awaitd._tls.details */
    PyObject *tls_variables; /* awaitd._tls.variables */
    PyObject *file_wrapper;  /* awaitd._file_wrapper.FileWrapper */
    PyObject *regular_part;  /* awaitd._file_wrapper.regular_part */
    struct passing passing;
    struct state_strings str;
    PyObject *methods[METHOD_COUNT];
    PyObject *names[NAME_CACHE];   /* header names, bytes */
    PyObject *fields[FIELD_CACHE]; /* (name, value) of headers with short values */
    struct cached_address addresses[ADDRESS_CACHE];
    struct cached_variable variables[VARIABLE_CACHE];
} State;

extern struct PyModuleDef wire_module;

/* Types; each is made by its file. */
extern PyType_Spec async_loop_spec, exchange_spec, wait_spec, reader_spec, writer_spec, transport_spec;
extern PyType_Spec thread_loop_spec, call_spec, calls_spec;

/* Percent-decodes s into out, which has room for it; returns the length. What is no escape stays as it is. */
Py_ssize_t path_unquote(char *out, struct span s);

PyObject *method_object(State *s, struct span method); /* upper case, interned if usual */

/* (host, port) as ASGI wants it: None without an address; text for a client that has a name only. */
PyObject *address_tuple(State *s, struct endpoint_address a);
/* The cache entry of an IP address, or NULL with an exception. */
struct cached_address *address_find(State *s, struct endpoint_address a);

/* What `as` makes of what is told of TLS; None without TLS. */
PyObject *tls_object(const struct open *o, PyObject *as);

/* Waits without the GIL for the end of fd, then kills the process group. */
PyObject *watchdog_start(PyObject *module, PyObject *fd);

#if PY_VERSION_HEX < 0x030D0000
/* PyDict_GetItemRef, new in 3.13. */
static inline int PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **result)
{
    *result = Py_XNewRef(PyDict_GetItemWithError(dict, key));
    return *result ? 1 : PyErr_Occurred() ? -1 : 0;
}
#endif

#if PY_VERSION_HEX >= 0x030C0000
/* Every str is ready since 3.12, and the macro is on its way out. */
#undef PyUnicode_READY
#define PyUnicode_READY(text) ((void)(text), 0)
#endif

#if PY_VERSION_HEX < 0x030C0000
/* PyErr_GetRaisedException and PyErr_SetRaisedException, new in 3.12. */
static inline PyObject *PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static inline void PyErr_SetRaisedException(PyObject *exception)
{
    if (exception)
        PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
    else
        PyErr_Clear();
}
#endif

#endif
