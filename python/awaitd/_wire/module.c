/* awaitd._wire: the worker's side of the wire. */
#include "broadcast.h"
#include "call.h"
#include "exchange.h"

#include <stddef.h>

static int import_attribute(PyObject **slot, const char *module, const char *name)
{
    PyObject *imported = PyImport_ImportModule(module);
    *slot = imported ? PyObject_GetAttrString(imported, name) : NULL;
    Py_XDECREF(imported);
    return *slot ? 0 : -1;
}

static int make_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *slot ? 0 : -1;
}

static int make_types(PyObject *module, State *s)
{
    struct {
        PyTypeObject **slot;
        PyType_Spec *spec;
    } types[] = {
        {&s->async_loop_type, &async_loop_spec},   {&s->exchange_type, &exchange_spec},   {&s->wait_type, &wait_spec},
        {&s->thread_loop_type, &thread_loop_spec}, {&s->call_type, &call_spec},           {&s->reader_type, &reader_spec},
        {&s->writer_type, &writer_spec},           {&s->transport_type, &transport_spec},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (make_type(module, types[i].slot, types[i].spec) < 0)
            return -1;
    PyTypeObject *calls;
    if (make_type(module, &calls, &calls_spec) < 0)
        return -1;
    int added = PyModule_AddType(module, calls);
    Py_DECREF(calls);
    if (added < 0 || PyModule_AddType(module, s->async_loop_type) < 0)
        return -1;
    return PyModule_AddType(module, s->thread_loop_type);
}

static int make_strings(State *s)
{
#define STRING(identifier, text)                                 \
    if (!(s->str.identifier = PyUnicode_InternFromString(text))) \
        return -1;
    STATE_STRINGS(STRING)
#undef STRING
    return 0;
}

static int module_exec(PyObject *module)
{
    State *s = PyModule_GetState(module);
    if (make_strings(s) < 0 || make_types(module, s) < 0)
        return -1;
    if (import_attribute(&s->client_disconnected, "awaitd._errors", "ClientDisconnected") < 0 ||
        import_attribute(&s->cancelled_error, "asyncio", "CancelledError") < 0 ||
        import_attribute(&s->task_type, "asyncio", "Task") < 0 ||
        import_attribute(&s->incomplete_read, "asyncio", "IncompleteReadError") < 0 ||
        import_attribute(&s->limit_overrun, "asyncio", "LimitOverrunError") < 0 ||
        import_attribute(&s->stream_reader, "asyncio", "StreamReader") < 0 ||
        import_attribute(&s->stream_writer, "asyncio", "StreamWriter") < 0 ||
        import_attribute(&s->datagram_transport, "asyncio", "DatagramTransport") < 0 ||
        import_attribute(&s->send_part, "awaitd._files", "send_part") < 0 ||
        import_attribute(&s->tls_extension, "awaitd._tls", "extension") < 0 ||
        import_attribute(&s->tls_details, "awaitd._tls", "details") < 0 ||
        import_attribute(&s->tls_variables, "awaitd._tls", "variables") < 0 ||
        import_attribute(&s->file_wrapper, "awaitd._file_wrapper", "FileWrapper") < 0 ||
        import_attribute(&s->regular_part, "awaitd._file_wrapper", "regular_part") < 0)
        return -1;
    s->passing = (struct passing){.control = -1, .most = 1};
    s->empty_bytes = PyBytes_FromStringAndSize(NULL, 0);
    s->plain_keywords = Py_BuildValue("(ss)", "loop", "name");
    s->eager_keywords = Py_BuildValue("(sss)", "loop", "name", "eager_start");
    s->context_keywords = Py_BuildValue("(s)", "context");
    s->text_message = Py_BuildValue("{OOOO}", s->str.type, s->str.socket_receive, s->str.text, Py_None);
    s->bytes_message = Py_BuildValue("{OOOO}", s->str.type, s->str.socket_receive, s->str.bytes, Py_None);
    s->task_name = PyUnicode_InternFromString("request");
    s->ready = wait_ready(s);
    if (!s->empty_bytes || !s->plain_keywords || !s->eager_keywords || !s->context_keywords || !s->text_message ||
        !s->bytes_message || !s->task_name || !s->ready)
        return -1;
    return PyModule_AddIntConstant(module, "VERSION", WIRE_VERSION);
}

static int visit_caches(State *s, visitproc visit, void *arg)
{
    for (int i = 0; i < FIELD_CACHE; i++)
        Py_VISIT(s->fields[i]);
    for (int i = 0; i < ADDRESS_CACHE; i++)
        Py_VISIT(s->addresses[i].tuple);
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *s = PyModule_GetState(module);
    Py_VISIT(s->async_loop_type);
    Py_VISIT(s->exchange_type);
    Py_VISIT(s->wait_type);
    Py_VISIT(s->thread_loop_type);
    Py_VISIT(s->call_type);
    Py_VISIT(s->client_disconnected);
    Py_VISIT(s->cancelled_error);
    Py_VISIT(s->task_type);
    Py_VISIT(s->incomplete_read);
    Py_VISIT(s->limit_overrun);
    Py_VISIT(s->stream_reader);
    Py_VISIT(s->stream_writer);
    Py_VISIT(s->reader_type);
    Py_VISIT(s->writer_type);
    Py_VISIT(s->transport_type);
    Py_VISIT(s->datagram_transport);
    Py_VISIT(s->send_part);
    Py_VISIT(s->tls_extension);
    Py_VISIT(s->tls_details);
    Py_VISIT(s->tls_variables);
    Py_VISIT(s->file_wrapper);
    Py_VISIT(s->regular_part);
    Py_VISIT(s->ready);
    return visit_caches(s, visit, arg);
}

static void clear_caches(State *s)
{
    for (int i = 0; i < METHOD_COUNT; i++)
        Py_CLEAR(s->methods[i]);
    for (int i = 0; i < NAME_CACHE; i++)
        Py_CLEAR(s->names[i]);
    for (int i = 0; i < FIELD_CACHE; i++)
        Py_CLEAR(s->fields[i]);
    for (int i = 0; i < VARIABLE_CACHE; i++) {
        Py_CLEAR(s->variables[i].key);
        Py_CLEAR(s->variables[i].value);
    }
    for (int i = 0; i < ADDRESS_CACHE; i++) {
        Py_CLEAR(s->addresses[i].tuple);
        Py_CLEAR(s->addresses[i].host);
        Py_CLEAR(s->addresses[i].port_text);
    }
}

static int module_clear(PyObject *module)
{
    State *s = PyModule_GetState(module);
    clear_caches(s);
    Py_CLEAR(s->ready);
    Py_CLEAR(s->async_loop_type);
    Py_CLEAR(s->exchange_type);
    Py_CLEAR(s->wait_type);
    Py_CLEAR(s->thread_loop_type);
    Py_CLEAR(s->call_type);
    Py_CLEAR(s->client_disconnected);
    Py_CLEAR(s->cancelled_error);
    Py_CLEAR(s->task_type);
    Py_CLEAR(s->incomplete_read);
    Py_CLEAR(s->limit_overrun);
    Py_CLEAR(s->stream_reader);
    Py_CLEAR(s->stream_writer);
    Py_CLEAR(s->reader_type);
    Py_CLEAR(s->writer_type);
    Py_CLEAR(s->transport_type);
    Py_CLEAR(s->datagram_transport);
    Py_CLEAR(s->send_part);
    Py_CLEAR(s->tls_extension);
    Py_CLEAR(s->tls_details);
    Py_CLEAR(s->tls_variables);
    Py_CLEAR(s->file_wrapper);
    Py_CLEAR(s->regular_part);
    Py_CLEAR(s->empty_bytes);
    Py_CLEAR(s->plain_keywords);
    Py_CLEAR(s->task_name);
    Py_CLEAR(s->eager_keywords);
    Py_CLEAR(s->context_keywords);
    Py_CLEAR(s->text_message);
    Py_CLEAR(s->bytes_message);
#define STRING(identifier, text) Py_CLEAR(s->str.identifier);
    STATE_STRINGS(STRING)
#undef STRING
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

/* pass_descriptors(control, links) */
static PyObject *pass_descriptors(PyObject *module, PyObject *args)
{
    State *s = PyModule_GetState(module);
    int control;
    unsigned int links;
    if (!PyArg_ParseTuple(args, "iI:pass_descriptors", &control, &links))
        return NULL;
    s->passing.control = control;
    s->passing.most = links && links < PASSED_MAX ? PASSED_MAX / links : 1;
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"broadcast", (PyCFunction)(void (*)(void))broadcast, METH_FASTCALL, BROADCAST_DOC},
    {"pass_descriptors", pass_descriptors, METH_VARARGS, "Pass descriptors over the socket control, for as many links in all."},
    {"watchdog", watchdog_start, METH_O, "Kill the process group when the other end of fd closes."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

PyModuleDef wire_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "awaitd._wire",
    .m_doc = "The worker's side of the wire: rings, ASGI exchanges, WSGI calls.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__wire(void)
{
    return PyModuleDef_Init(&wire_module);
}
