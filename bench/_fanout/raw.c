/* The ceiling: a blocking send() of one ready-made WebSocket frame to each client, at a set rate.
 *
 * raw PORT CLIENTS RATE BYTES
 *
 * Waits for CLIENTS handshakes (their key is fixed, so the answer is too), then sends until a client goes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char ACCEPTED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static uint64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static int listen_on(int port) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
    perror("listen");
    exit(1);
  }
  return listener;
}

static int greet(int listener) {
  char request[4096];
  size_t have = 0;
  int yes = 1, client = accept(listener, NULL, NULL);
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  while (have < sizeof request - 1) {
    ssize_t got = read(client, request + have, sizeof request - 1 - have);
    if (got <= 0) exit(1);
    have += (size_t)got;
    request[have] = 0;
    if (strstr(request, "\r\n\r\n")) break;
  }
  if (write(client, ACCEPTED, sizeof ACCEPTED - 1) < 0) exit(1);
  return client;
}

int main(int count, char **words) {
  if (count != 5) {
    fprintf(stderr, "usage: raw PORT CLIENTS RATE BYTES\n");
    return 2;
  }
  int port = atoi(words[1]), clients = atoi(words[2]), bytes = atoi(words[4]);
  uint64_t period = (uint64_t)(1e9 / atof(words[3]));
  int listener = listen_on(port), *sockets = malloc(sizeof(int) * (size_t)clients);
  printf("ready\n");
  fflush(stdout);
  for (int at = 0; at < clients; at++) sockets[at] = greet(listener);

  char *frame = malloc((size_t)bytes + 64);
  frame[0] = (char)0x81;
  frame[1] = 126;
  frame[2] = (char)(bytes >> 8);
  frame[3] = (char)bytes;
  memset(frame + 4, 'x', (size_t)bytes);
  uint64_t due = now_ns();
  for (;;) {
    due += period;
    struct timespec until = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    char stamp[64];
    int length = snprintf(stamp, sizeof stamp, "{\"t\":%020lu,\"pad\":\"", now_ns());
    memcpy(frame + 4, stamp, (size_t)length);
    memcpy(frame + 4 + bytes - 2, "\"}", 2);
    for (int at = 0; at < clients; at++) {
      for (size_t sent = 0, total = (size_t)bytes + 4; sent < total;) {
        ssize_t wrote = send(sockets[at], frame + sent, total - sent, MSG_NOSIGNAL);
        if (wrote < 0) return 0;
        sent += (size_t)wrote;
      }
    }
  }
}
