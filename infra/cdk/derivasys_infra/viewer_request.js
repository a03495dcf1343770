// Runs at CloudFront for each request of the page (runtime cloudfront-js-2.0). Other hosts are sent to the canonical
// one with path and query kept; paths of the page's own routes get index.html.
const CANONICAL_HOST = '@CANONICAL_HOST@';

function queryOf(querystring) {
  const pairs = [];
  for (const name of Object.keys(querystring)) {
    const entry = querystring[name];
    for (const one of entry.multiValue || [entry]) {
      pairs.push(one.value === '' ? name : name + '=' + one.value);
    }
  }
  return pairs.length ? '?' + pairs.join('&') : '';
}

function handler(event) {
  const request = event.request;
  const host = request.headers.host ? request.headers.host.value.toLowerCase() : '';
  if (host !== CANONICAL_HOST) {
    const location = 'https://' + CANONICAL_HOST + request.uri + queryOf(request.querystring);
    return {
      statusCode: 301,
      statusDescription: 'Moved Permanently',
      headers: { location: { value: location }, 'cache-control': { value: 'max-age=3600' } },
    };
  }
  const last = request.uri.slice(request.uri.lastIndexOf('/') + 1);
  if (last.indexOf('.') < 0) request.uri = '/index.html';
  return request;
}
