/* One message for many WebSockets. */
#ifndef AWAITD_BROADCAST_H
#define AWAITD_BROADCAST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define BROADCAST_DOC                                                                                           \
    "broadcast(connections, message)\n--\n\n"                                                                   \
    "Send a message, str or bytes, to many WebSockets of this worker at once, without waiting for anybody.\n\n" \
    "connections: ASGI scopes of WebSockets, or objects that have one as their attribute scope. Who is not\n"   \
    "accepted, or gone, is passed over. Who has not yet been sent what was sent before is not sent this;\n"     \
    "a list of these connections is returned."

PyObject *broadcast(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
