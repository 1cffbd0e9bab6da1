/* start_response, write and wsgi.early_hints: what the application says of its response, checked at the caller. */
#include "call.h"

/* write(data): the imperative way to send a body. */
static PyObject *write_body(PyObject *self, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_Format(PyExc_TypeError, "write() takes bytes, not %.100s", Py_TYPE(data)->tp_name);
        return NULL;
    }
    if (reply_send((Call *)self, (const uint8_t *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), false) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef write_method = {"write", write_body, METH_O, NULL};

static int bad_status(PyObject *status, const char *rule)
{
    PyErr_Format(PyUnicode_Check(status) ? PyExc_ValueError : PyExc_TypeError, "invalid status %R: %s", status, rule);
    return -1;
}

static const char *const STATUS_FORM =
    "expected a str of three digits, a space and a reason phrase, as in \"200 OK\" (PEP 3333)";

static int check_phrase(PyObject *status, struct span phrase)
{
    if (phrase.length > PHRASE_MAX)
        return bad_status(status, "a reason phrase has at most 1,024 characters");
    for (uint32_t i = 0; i < phrase.length; i++)
        if (phrase.start[i] < ' ' || phrase.start[i] == 0x7f)
            return bad_status(status, "control characters are not allowed");
    return 0;
}

static int check_number(PyObject *status, const uint8_t *text, int *number)
{
    *number = 0;
    for (int i = 0; i < 3; i++) {
        if (text[i] < '0' || text[i] > '9')
            return bad_status(status, STATUS_FORM);
        *number = *number * 10 + text[i] - '0';
    }
    return *number >= 200 ? 0 : bad_status(status, "it is no final one, which are from 200 to 999");
}

/* Takes "404 Not Found" apart. A phrase may be missing: some applications leave it out. */
static int parse_status(PyObject *status, struct reply_head *head)
{
    static const char usual[] = "200 OK";
    if (!PyUnicode_Check(status) || PyUnicode_READY(status) < 0)
        return bad_status(status, STATUS_FORM);
    if (PyUnicode_KIND(status) != PyUnicode_1BYTE_KIND)
        return bad_status(status, "it has characters outside latin-1");
    const uint8_t *text = PyUnicode_1BYTE_DATA(status);
    Py_ssize_t length = PyUnicode_GET_LENGTH(status);
    if (length == sizeof usual - 1 && !memcmp(text, usual, sizeof usual - 1)) {
        head->status = 200;
        return 0;
    }
    if (length < 3 || (length > 3 && text[3] != ' '))
        return bad_status(status, STATUS_FORM);
    head->phrase = (struct span){text + 4, length > 4 ? (uint32_t)(length < UINT16_MAX ? length : UINT16_MAX) - 4 : 0};
    return check_number(status, text, &head->status) < 0 ? -1 : check_phrase(status, head->phrase);
}

/* Raises the exception of exc_info again. */
static void raise_again(PyObject *exc_info)
{
    PyObject *value = PyTuple_GET_SIZE(exc_info) == 3 ? PyTuple_GET_ITEM(exc_info, 1) : NULL;
    if (!value || !PyExceptionInstance_Check(value))
        PyErr_Format(PyExc_TypeError, "exc_info must be (type, exception, traceback) as sys.exc_info() returns it, not %R",
                     exc_info);
    else if (PyException_SetTraceback(value, PyTuple_GET_ITEM(exc_info, 2)) == 0)
        PyErr_SetRaisedException(Py_NewRef(value));
}

/* True if start_response may set the head now; else an exception is set. */
static bool may_start(Call *c, PyObject *exc_info)
{
    bool with_error = exc_info && exc_info != Py_None;
    if (with_error && !PyTuple_Check(exc_info))
        PyErr_Format(PyExc_TypeError, "exc_info must be a tuple, not %.100s", Py_TYPE(exc_info)->tp_name);
    else if (with_error && reply_has_begun(c))
        raise_again(exc_info);
    else if (!with_error && c->started)
        PyErr_SetString(PyExc_AssertionError, "start_response was called a second time without exc_info");
    else
        return true;
    return false;
}

/* Puts the phrase behind the fields. */
static int add_phrase(struct reply_head *head)
{
    uint8_t *grown = PyMem_Realloc(head->fields.data, head->fields.size + head->phrase.length);
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(grown + head->fields.size, head->phrase.start, head->phrase.length);
    head->fields.data = grown;
    return 0;
}

static int set_head(Call *c, struct reply_head *head, PyObject *headers)
{
    uint32_t limit = c->stream.link->frame_max - HEAD_SIZE - head->phrase.length;
    if (fields_encode(&head->fields, headers, FIELD_LATIN1, limit) < 0)
        return -1;
    if (!head->phrase.length || add_phrase(head) == 0) {
        if (reply_set_head(c, head))
            return 0;
        PyErr_SetString(PyExc_AssertionError, "start_response was called while another thread sends the head");
    }
    PyMem_Free(head->fields.data);
    return -1;
}

static PyObject *start_response(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"status", "response_headers", "exc_info", NULL};
    Call *c = (Call *)self;
    PyObject *status, *headers, *exc_info = NULL;
    struct reply_head head = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:start_response", keywords, &status, &headers, &exc_info) ||
        !may_start(c, exc_info) || parse_status(status, &head) < 0)
        return NULL;
    if (!PyList_Check(headers)) {
        PyErr_Format(PyExc_TypeError, "response headers must be a list of tuples, not %.100s", Py_TYPE(headers)->tp_name);
        return NULL;
    }
    if (set_head(c, &head, headers) < 0)
        return NULL;
    return PyCFunction_New(&write_method, self);
}

PyMethodDef start_response_method = {"start_response", (PyCFunction)(void (*)(void))start_response,
                                     METH_VARARGS | METH_KEYWORDS, NULL};

/* The part of a pair as str; gunicorn takes bytes as well. */
static PyObject *hint_text(PyObject *part)
{
    if (!PyBytes_Check(part))
        return Py_NewRef(part);
    return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part), NULL);
}

static PyObject *hint_pair(PyObject *pair)
{
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
        return Py_NewRef(pair);
    PyObject *name = hint_text(PyTuple_GET_ITEM(pair, 0));
    PyObject *value = name ? hint_text(PyTuple_GET_ITEM(pair, 1)) : NULL;
    PyObject *text = value ? PyTuple_Pack(2, name, value) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(value);
    return text;
}

/* The headers as a list of pairs of str. */
static PyObject *hint_list(PyObject *headers)
{
    PyObject *list = PySequence_List(headers);
    if (!list && PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "wsgi.early_hints takes a list of (name, value) tuples, not %.100s",
                     Py_TYPE(headers)->tp_name);
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list); i++) {
        PyObject *pair = hint_pair(PyList_GET_ITEM(list, i));
        if (!pair || PyList_SetItem(list, i, pair) < 0)
            Py_CLEAR(list);
    }
    return list;
}

PyObject *early_hints(PyObject *self, PyObject *args, PyObject *kwargs)
{
    enum { EARLY_HINTS = 103 };
    static char *keywords[] = {"headers", NULL};
    Call *c = (Call *)self;
    struct fields f;
    PyObject *headers;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:early_hints", keywords, &headers))
        return NULL;
    if (reply_has_begun(c)) {
        PyErr_SetString(PyExc_AssertionError, "wsgi.early_hints was called after the response had begun");
        return NULL;
    }
    PyObject *list = hint_list(headers);
    int result = list ? fields_encode(&f, list, FIELD_LATIN1, c->stream.link->frame_max - HEAD_SIZE) : -1;
    Py_XDECREF(list);
    if (result < 0)
        return NULL;
    result = reply_inform(c, EARLY_HINTS, &f);
    PyMem_Free(f.data);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}
