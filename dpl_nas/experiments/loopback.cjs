// Keeps every server of the Node process that preloads this file on 127.0.0.1.
//
// NNI's server has no password and can start commands, and no option of NNI changes the
// interface that it listens on, which is all of them:  NODE_OPTIONS="--require FILE" nnictl ...
'use strict';

const net = require('net');

const LOOPBACK = '127.0.0.1';
const listen = net.Server.prototype.listen;

function isPort(value) {
    return typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
}

net.Server.prototype.listen = function (...args) {
    const first = args[0];
    if (first === undefined || first === null || typeof first === 'function') {
        // listen(), listen(callback): any free port.
        const rest = typeof first === 'function' ? args : args.slice(1);
        return listen.call(this, 0, LOOPBACK, ...rest);
    }
    if (isPort(first)) {
        // listen(port[, host][, backlog][, callback])
        const rest = args.slice(1).filter((value) => typeof value !== 'string' && value != null);
        return listen.call(this, first, LOOPBACK, ...rest);
    }
    if (typeof first === 'object' && 'port' in first) {
        return listen.call(this, { ...first, host: LOOPBACK }, ...args.slice(1));
    }
    // A path of a local socket, a handle or a file descriptor: nothing of the network.
    return listen.apply(this, args);
};
