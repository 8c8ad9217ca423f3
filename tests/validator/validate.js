// usage: node validate.js <MAIL.html
//
// What the official AMP validator says of an AMP part for email, as JSON.
'use strict';
const fs = require('fs');
const path = require('path');
const validator = require('amphtml-validator');

validator.getInstance(path.join(__dirname, 'rules.js')).then((instance) => {
  const html = fs.readFileSync(0, 'utf8');
  console.log(JSON.stringify(instance.validateString(html, 'AMP4EMAIL')));
});
