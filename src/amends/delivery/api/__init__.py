"""The REST API: one server over one service.

    routes      what there is: method, path, parameters, statuses; the document and the dispatch are made from it
    server      one request: who may, which route, one answer, one log line
    connections what arrives on a socket, and how much of it
    body, query, head   what a request says, checked
    problem     every no, as problem+json
    starts, acts, reads, streams, inside   the handlers

Rules: a handler parses, calls the application, and renders. A bad request gets problem+json with everything that is
wrong, is logged once with its correlation id, and reaches nobody.
It does not: hold rules of sagas, or know an adapter.
"""
