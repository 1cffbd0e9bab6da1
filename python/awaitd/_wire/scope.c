/* The ASGI scope of an HTTP request or a WebSocket, built straight from its OPEN frame. */
#include "exchange.h"

enum { CACHED_VALUE_MAX = 128 }; /* longer values are seldom the same twice */

static int set(PyObject *dict, PyObject *key, PyObject *value)
{
    int result = value ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(value);
    return result;
}

/* A dict with every key, so that a copy never grows, and the usual values. */
static PyObject *template_of(AsyncLoop *l, bool socket)
{
    struct state_strings *str = &l->state->str;
    PyObject *asgi = Py_BuildValue("{ssss}", "version", "3.0", "spec_version", "2.5");
    PyObject *version = PyUnicode_InternFromString("1.1");
    PyObject *scope = asgi && version ? PyDict_New() : NULL;
    struct {
        PyObject *key, *value;
    } items[] = {
        {str->type, socket ? str->websocket : str->http},
        {str->asgi, asgi},
        {str->http_version, version},
        {socket ? NULL : str->method, Py_None},
        {str->scheme, socket ? str->ws : str->http},
        {str->path, Py_None},
        {str->raw_path, Py_None},
        {str->query_string, l->state->empty_bytes},
        {str->root_path, l->root_path},
        {str->headers, Py_None},
        {str->client, Py_None},
        {str->server, Py_None},
        {socket ? str->subprotocols : NULL, Py_None},
        {str->extensions, Py_None},
        {l->lifespan_state ? str->state : NULL, Py_None},
    };
    for (size_t i = 0; scope && i < sizeof items / sizeof *items; i++)
        if (items[i].key && PyDict_SetItem(scope, items[i].key, items[i].value) < 0)
            Py_CLEAR(scope);
    Py_XDECREF(asgi);
    Py_XDECREF(version);
    return scope;
}

/* {name: {}, ...} */
static PyObject *offer(PyObject **names, size_t count)
{
    PyObject *extensions = PyDict_New();
    for (size_t i = 0; extensions && i < count; i++)
        if (set(extensions, names[i], PyDict_New()) < 0)
            Py_CLEAR(extensions);
    return extensions;
}

int scope_setup(AsyncLoop *l)
{
    struct state_strings *str = &l->state->str;
    PyObject *names[] = {str->response_trailers, str->early_hint, str->pathsend, str->zerocopysend, str->response_debug};
    l->extensions = offer(names, sizeof names / sizeof *names - (l->debug ? 0 : 1));
    PyObject *socket_names[] = {str->denial, str->socket_ping};
    l->socket_extensions = offer(socket_names, sizeof socket_names / sizeof *socket_names);
    l->scope = template_of(l, false);
    l->socket_scope = template_of(l, true);
    return l->extensions && l->socket_extensions && l->scope && l->socket_scope ? 0 : -1;
}

static PyObject *bytes_of(struct span s)
{
    return PyBytes_FromStringAndSize((const char *)s.start, s.length);
}

static PyObject *path_text(struct span path)
{
    if (!memchr(path.start, '%', path.length))
        return PyUnicode_DecodeUTF8((const char *)path.start, path.length, "replace");
    char *decoded = PyMem_Malloc(path.length);
    if (!decoded)
        return PyErr_NoMemory();
    PyObject *text = PyUnicode_DecodeUTF8(decoded, path_unquote(decoded, path), "replace");
    PyMem_Free(decoded);
    return text;
}

static uint32_t hash_bytes(uint32_t hash, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        hash = hash * 31 + p[i];
    return hash;
}

static bool is_same(PyObject *bytes, struct span s)
{
    return (uint32_t)PyBytes_GET_SIZE(bytes) == s.length && !memcmp(PyBytes_AS_STRING(bytes), s.start, s.length);
}

/* A field name as a bytes object; the usual ones come from the cache. */
static PyObject *name_object(State *s, struct span name, uint32_t hash)
{
    PyObject **entry = &s->names[hash % NAME_CACHE];
    if (*entry && is_same(*entry, name))
        return Py_NewRef(*entry);
    PyObject *made = bytes_of(name);
    if (made && !*entry && name.length <= CACHED_VALUE_MAX)
        *entry = Py_NewRef(made);
    return made;
}

static PyObject *field_pair(State *s, struct span name, struct span value, uint32_t hash)
{
    PyObject *pair = PyTuple_New(2);
    if (!pair)
        return NULL;
    PyObject *n = name_object(s, name, hash);
    PyObject *v = bytes_of(value);
    PyTuple_SET_ITEM(pair, 0, n);
    PyTuple_SET_ITEM(pair, 1, v);
    if (!n || !v)
        Py_CLEAR(pair);
    return pair;
}

/* Clients repeat themselves: (name, value) tuples with the last value seen are kept. Secrets are not. */
static bool is_cacheable(struct span name, struct span value)
{
    static const char *const secret[] = {"authorization", "cookie", "proxy-authorization"};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (name.length == strlen(secret[i]) && !memcmp(name.start, secret[i], name.length))
            return false;
    return value.length <= CACHED_VALUE_MAX;
}

static PyObject *field_object(State *s, struct span name, struct span value)
{
    uint32_t hash = hash_bytes(name.length, name.start, name.length);
    PyObject **entry = &s->fields[hash % FIELD_CACHE];
    if (*entry && is_same(PyTuple_GET_ITEM(*entry, 1), value) && is_same(PyTuple_GET_ITEM(*entry, 0), name))
        return Py_NewRef(*entry);
    PyObject *pair = field_pair(s, name, value, hash);
    if (pair && is_cacheable(name, value))
        Py_XSETREF(*entry, Py_NewRef(pair));
    return pair;
}

static PyObject *headers_list(State *s, const struct open *o)
{
    PyObject *list = PyList_New(o->field_count);
    const uint8_t *at = o->fields.start;
    for (uint16_t i = 0; list && i < o->field_count; i++) {
        struct span name = {at, load16(o->table + 4 * i)};
        struct span value = {at + name.length, load16(o->table + 4 * i + 2)};
        at = value.start + value.length;
        PyObject *pair = field_object(s, name, value);
        if (pair)
            PyList_SET_ITEM(list, i, pair);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* (host, port) of an address: of an IP address, or by the text that has the tag. */
static PyObject *address_object(State *s, const struct open *o, struct endpoint_address a, uint16_t tag)
{
    struct span text = open_extra(o, tag);
    if (!text.length || a.family != FAMILY_NONE)
        return address_tuple(s, a);
    PyObject *host = PyUnicode_DecodeUTF8((const char *)text.start, text.length, "replace");
    return host ? Py_BuildValue("(Ni)", host, (int)a.port) : NULL;
}

PyObject *scope_client(State *s, const struct open *o)
{
    return address_object(s, o, o->client, EXTRA_CLIENT_TEXT);
}

PyObject *scope_server(State *s, const struct open *o)
{
    if (o->server.family != FAMILY_UNIX)
        return address_object(s, o, o->server, EXTRA_SERVER_TEXT);
    struct span path = open_extra(o, EXTRA_UNIX_PATH);
    PyObject *text = PyUnicode_DecodeFSDefaultAndSize((const char *)path.start, path.length);
    return text ? Py_BuildValue("(NO)", text, Py_None) : NULL;
}

static const char *version_text(uint8_t version)
{
    return version == 10 ? "1.0" : version == 20 ? "2" : version == 30 ? "3" : "1.1";
}

/* The variables of a web server in front, as text: bytes that are no UTF-8 become surrogates. */
static PyObject *variables_object(struct span rows)
{
    PyObject *variables = PyDict_New();
    struct span name, value;
    while (variables && open_variable(&rows, &name, &value)) {
        PyObject *key = PyUnicode_DecodeUTF8((const char *)name.start, name.length, "surrogateescape");
        PyObject *text = PyUnicode_DecodeUTF8((const char *)value.start, value.length, "surrogateescape");
        if (!key || !text || PyDict_SetItem(variables, key, text) < 0)
            Py_CLEAR(variables);
        Py_XDECREF(key);
        Py_XDECREF(text);
    }
    return variables;
}

static PyObject *extensions_object(AsyncLoop *l, const struct open *o)
{
    struct state_strings *str = &l->state->str;
    PyObject *extensions = PyDict_Copy(o->kind == KIND_WEBSOCKET ? l->socket_extensions : l->extensions);
    struct span rows = o->extra.length ? open_extra(o, EXTRA_VARIABLES) : (struct span){0};
    if (extensions && o->secure && o->extra.length) {
        PyObject *tls = tls_object(o, l->state->tls_extension);
        if (!tls || (tls != Py_None && PyDict_SetItem(extensions, str->tls, tls) < 0))
            Py_CLEAR(extensions);
        Py_XDECREF(tls);
    }
    if (!extensions || !rows.length)
        return extensions;
    PyObject *cgi = PyDict_New();
    if (!cgi || set(cgi, str->variables, variables_object(rows)) < 0 || PyDict_SetItem(extensions, str->cgi, cgi) < 0)
        Py_CLEAR(extensions);
    Py_XDECREF(cgi);
    return extensions;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Adds the elements of a comma-separated value. */
static int add_elements(PyObject *list, struct span value)
{
    const uint8_t *at = value.start, *end = at + value.length;
    while (at < end) {
        const uint8_t *comma = memchr(at, ',', (size_t)(end - at)), *last = comma ? comma : end;
        const uint8_t *next = comma ? comma + 1 : end;
        while (at < last && is_space(*at))
            at++;
        while (at < last && is_space(last[-1]))
            last--;
        PyObject *text = at < last ? PyUnicode_DecodeLatin1((const char *)at, last - at, NULL) : NULL;
        if (at < last && (!text || PyList_Append(list, text) < 0)) {
            Py_XDECREF(text);
            return -1;
        }
        Py_XDECREF(text);
        at = next;
    }
    return 0;
}

/* What the client offers, over all fields of the name. */
static PyObject *subprotocols_list(const struct open *o)
{
    static const char field[] = "sec-websocket-protocol";
    PyObject *list = PyList_New(0);
    const uint8_t *at = o->fields.start;
    for (uint16_t i = 0; list && i < o->field_count; i++) {
        struct span name = {at, load16(o->table + 4 * i)};
        struct span value = {at + name.length, load16(o->table + 4 * i + 2)};
        at = value.start + value.length;
        if (name.length == sizeof field - 1 && !memcmp(name.start, field, name.length) && add_elements(list, value) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* What differs only for some requests: the template has the usual value. */
static int set_unusual(AsyncLoop *l, PyObject *scope, const struct open *o)
{
    struct state_strings *str = &l->state->str;
    if (o->version != 11 && set(scope, str->http_version, PyUnicode_InternFromString(version_text(o->version))) < 0)
        return -1;
    if (o->secure && PyDict_SetItem(scope, str->scheme, o->kind == KIND_WEBSOCKET ? str->wss : str->https) < 0)
        return -1;
    if (o->query.length && set(scope, str->query_string, bytes_of(o->query)) < 0)
        return -1;
    struct span root = o->extra.length ? open_extra(o, EXTRA_ROOT_PATH) : (struct span){0};
    if (root.length && set(scope, str->root_path, PyUnicode_DecodeUTF8((const char *)root.start, root.length, "replace")) < 0)
        return -1;
    return l->lifespan_state ? set(scope, str->state, PyDict_Copy(l->lifespan_state)) : 0;
}

/* The path includes the root path (ASGI); a proxy that strips the prefix has taken it off. */
static int prefix_path(AsyncLoop *l, PyObject *scope)
{
    PyObject *root = PyDict_GetItemWithError(scope, l->state->str.root_path);
    PyObject *path = root ? PyDict_GetItemWithError(scope, l->state->str.path) : NULL;
    if (!path || !PyUnicode_Check(root))
        return -1;
    Py_ssize_t length = PyUnicode_GET_LENGTH(root);
    if (!length)
        return 0;
    bool under = PyUnicode_Tailmatch(path, root, 0, PyUnicode_GET_LENGTH(path), -1) == 1 &&
                 (PyUnicode_GET_LENGTH(path) == length || PyUnicode_READ_CHAR(path, length) == '/');
    return under ? 0 : set(scope, l->state->str.path, PyUnicode_Concat(root, path));
}

PyObject *scope_build(AsyncLoop *l, const struct open *o)
{
    State *s = l->state;
    bool socket = o->kind == KIND_WEBSOCKET;
    PyObject *scope = PyDict_Copy(socket ? l->socket_scope : l->scope);
    if (!scope)
        return NULL;
    int own =
        socket ? set(scope, s->str.subprotocols, subprotocols_list(o)) : set(scope, s->str.method, method_object(s, o->method));
    if (own < 0 || set(scope, s->str.path, path_text(o->path)) < 0 || set(scope, s->str.raw_path, bytes_of(o->path)) < 0 ||
        set(scope, s->str.headers, headers_list(s, o)) < 0 || set(scope, s->str.client, scope_client(s, o)) < 0 ||
        set(scope, s->str.server, scope_server(s, o)) < 0 || set(scope, s->str.extensions, extensions_object(l, o)) < 0 ||
        set_unusual(l, scope, o) < 0 || prefix_path(l, scope) < 0)
        Py_CLEAR(scope);
    return scope;
}
