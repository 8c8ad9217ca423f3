// usage: server.js SOCKET ADDRESS
//
// The list of etc/examples by Express, with the official middleware.
'use strict';

const express = require('express');
const cors = require('@ampproject/toolbox-cors');

const [, , socket, address] = process.argv;
const app = express();

app.disable('x-powered-by');
app.use(cors({
  email: true,
  sourceOriginPattern: new RegExp(`^${address.replace(/\./g, '\\.')}$`),
}));
app.get('/express', (request, response) => {
  response.json({items: [
    {title: 'Tea', price: '2.50'},
    {title: 'Crème brûlée', price: '4.00'},
    {title: '"Black \\ White" cake', price: '3.20'},
  ]});
});
app.listen(socket);
