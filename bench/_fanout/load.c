/* Many WebSocket clients in one thread.
 *
 * load [-c clients] [-n never-reading ones among them] [-d seconds] [-w seconds before] [-u path] [-m message]…
 *      [-x extensions] [-o file] [-a] PORT
 *
 * Says `connected` when all are, `begin` when counting starts, then one line of JSON. Latency is taken where a message
 * has "t":<CLOCK_MONOTONIC ns> in its first bytes. With -o, every text message is noted: three unsigned 64-bit numbers
 * (arrival in ns, client, 1 if compressed) and the first NOTED bytes of its payload, zeros after a shorter one. Messages
 * are not otherwise looked at.
 *
 * With -a it stays awake: it asks for news without waiting. A client that sleeps is woken by the sender's send(), once
 * a message where it reads faster than the server writes, and the server is charged for that; from another machine it
 * is not. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AT 400 /* bytes of a payload that are looked at */
#define NOTED 256
#define PER_OCTAVE 64

typedef struct {
  int socket, reads;
  unsigned have;           /* bytes of `head` */
  uint64_t skip, messages; /* payload bytes still to come of the frame under way */
  unsigned char head[14 + LOOK_AT + 1];
} Client;

static uint64_t bins[64 * PER_OCTAVE], measured, worst, bytes_in, counted;
static int counting;
static FILE *notes;

static uint64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void note_latency(uint64_t ns) {
  if (ns < 1) ns = 1;
  int octave = 63 - __builtin_clzll(ns);
  uint64_t rest = octave >= 6 ? (ns >> (octave - 6)) & 63 : (ns << (6 - octave)) & 63;
  bins[octave * PER_OCTAVE + (int)rest]++;
  measured++;
  if (ns > worst) worst = ns;
}

static double quantile_ms(double share) {
  uint64_t want = (uint64_t)(share * (double)measured), seen = 0;
  for (int at = 0; at < 64 * PER_OCTAVE; at++) {
    seen += bins[at];
    if (seen > want || (seen == measured && seen))
      return (double)(1ull << (at / PER_OCTAVE)) * (1.0 + (at % PER_OCTAVE + 0.5) / PER_OCTAVE) / 1e6;
  }
  return 0;
}

static void look(Client *client, unsigned header, unsigned length, uint64_t arrival, uint64_t number) {
  unsigned char *payload = client->head + header, kept = payload[length];
  int is_compressed = (client->head[0] & 0x40) != 0;
  payload[length] = 0;
  char *found = is_compressed ? NULL : strstr((char *)payload, "\"t\":");
  if (found) {
    uint64_t sent = strtoull(found + 4, NULL, 10);
    note_latency(arrival > sent ? arrival - sent : 0);
  }
  if (notes) {
    uint64_t about[3] = {arrival, number, (uint64_t)is_compressed};
    static const unsigned char nothing[NOTED];
    unsigned noted = length < NOTED ? length : NOTED;
    fwrite(about, sizeof about, 1, notes);
    fwrite(payload, noted, 1, notes);
    fwrite(nothing, NOTED - noted, 1, notes);
  }
  payload[length] = kept;
}

static void pong(Client *client, const unsigned char *payload, unsigned length) {
  unsigned char frame[6 + 125] = {0x8a, (unsigned char)(0x80 | length)}; /* a mask of zeros masks nothing */
  memcpy(frame + 6, payload, length);
  if (write(client->socket, frame, 6 + length) < 0) return;
}

/* Take received bytes: gather the head of each frame, skip its rest. */
static void take(Client *client, const unsigned char *data, size_t size, uint64_t arrival, uint64_t number) {
  while (size) {
    if (client->skip) {
      size_t gone = client->skip < size ? (size_t)client->skip : size;
      client->skip -= gone, data += gone, size -= gone;
      continue;
    }
    unsigned char *head = client->head;
    uint64_t length = 0;
    unsigned header = 2, want = 2;
    if (client->have >= 2) {
      length = head[1] & 127;
      header = length == 126 ? 4 : length == 127 ? 10 : 2;
      want = header;
      if (client->have >= header) {
        if (header == 4) length = (uint64_t)head[2] << 8 | head[3];
        if (header == 10) {
          length = 0;
          for (int at = 2; at < 10; at++) length = length << 8 | head[at];
        }
        unsigned seen = length < LOOK_AT ? (unsigned)length : LOOK_AT;
        want = header + seen;
        if (client->have == want) {
          int code = head[0] & 15;
          if (code == 9) pong(client, head + header, seen);
          if (code < 3) {
            client->messages++;
            if (counting) counted++, look(client, header, seen, arrival, number);
          }
          client->have = 0;
          client->skip = length - seen;
          continue;
        }
      }
    }
    size_t more = want - client->have < size ? want - client->have : size;
    memcpy(head + client->have, data, more);
    client->have += (unsigned)more, data += more, size -= more;
    if (client->have == 2 && !(head[1] & 127)) { /* an empty frame is whole with its header */
      if ((head[0] & 15) == 9) pong(client, head + 2, 0);
      client->have = 0;
    }
  }
}

static void handshake(Client *client, int port, const char *path, const char *extensions) {
  char request[1024], answer[4096];
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                        path, port, extensions ? "Sec-WebSocket-Extensions: " : "", extensions ? extensions : "",
                        extensions ? "\r\n" : "");
  if (write(client->socket, request, (size_t)length) != length) exit(1);
  size_t have = 0;
  char *end;
  do { /* byte by byte: what follows the answer stays in the socket */
    if (have == sizeof answer - 1 || read(client->socket, answer + have, 1) != 1) {
      fprintf(stderr, "load: no handshake\n");
      exit(1);
    }
    answer[++have] = 0;
    end = have >= 4 ? strstr(answer + have - 4, "\r\n\r\n") : NULL;
  } while (!end);
  if (strncmp(answer, "HTTP/1.1 101", 12)) {
    fprintf(stderr, "load: %.200s\n", answer);
    exit(1);
  }
}

static void say(Client *client, const char *message) {
  size_t length = strlen(message), at = 0;
  unsigned char frame[1100] = {0x81};
  if (length < 126) {
    frame[1] = (unsigned char)(0x80 | length), at = 2;
  } else {
    frame[1] = 0x80 | 126, frame[2] = (unsigned char)(length >> 8), frame[3] = (unsigned char)length, at = 4;
  }
  memcpy(frame + at + 4, message, length);
  if (write(client->socket, frame, at + 4 + length) < 0) exit(1);
}

/* Read whatever has come for anybody, waiting up to `wait_ms` for it; return how many connections ended. */
static int listen_to(int poll, Client *all, int wait_ms) {
  static unsigned char buffer[1 << 18];
  struct epoll_event ready[512];
  int ended = 0, found = epoll_wait(poll, ready, 512, wait_ms);
  for (int at = 0; at < found; at++) {
    Client *client = &all[ready[at].data.u32];
    ssize_t got = recv(client->socket, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) {
      epoll_ctl(poll, EPOLL_CTL_DEL, client->socket, NULL);
      ended++;
      continue;
    }
    if (counting) bytes_in += (uint64_t)got;
    take(client, buffer, (size_t)got, now_ns(), ready[at].data.u32);
  }
  return ended;
}

static double cpu_s(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **words) {
  int clients = 100, never = 0, wait_ms = 10, option, said = 0;
  double seconds = 5, before = 1;
  const char *path = "/ws", *messages[8], *extensions = NULL;
  while ((option = getopt(count, words, "c:n:d:w:u:m:x:o:a")) != -1) {
    if (option == 'c') clients = atoi(optarg);
    else if (option == 'n') never = atoi(optarg);
    else if (option == 'd') seconds = atof(optarg);
    else if (option == 'w') before = atof(optarg);
    else if (option == 'u') path = optarg;
    else if (option == 'm' && said < 8 && strlen(optarg) <= 1000) messages[said++] = optarg;
    else if (option == 'x') extensions = optarg;
    else if (option == 'o') notes = fopen(optarg, "wb");
    else if (option == 'a') wait_ms = 0;
    else return 2;
  }
  if (optind != count - 1 || clients < 1) {
    fprintf(stderr, "usage: load [options] PORT\n");
    return 2;
  }
  int port = atoi(words[optind]), yes = 1, small = 4096, gone = 0;
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int poll = epoll_create1(0);
  Client *all = calloc((size_t)clients, sizeof(Client));
  for (int at = 0; at < clients; at++) {
    Client *client = &all[at];
    client->reads = at >= never;
    client->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (!client->reads) setsockopt(client->socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(client->socket, (struct sockaddr *)&address, sizeof address)) {
      perror("load: connect");
      return 1;
    }
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    handshake(client, port, path, extensions);
    for (int which = 0; which < said; which++) say(client, messages[which]);
    fcntl(client->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event wish = {.events = EPOLLIN, .data.u32 = (uint32_t)at};
    if (client->reads) epoll_ctl(poll, EPOLL_CTL_ADD, client->socket, &wish);
    gone += listen_to(poll, all, 0); /* the first ones are served while the last ones connect */
  }
  printf("connected\n");
  fflush(stdout);

  uint64_t begin = now_ns() + (uint64_t)(before * 1e9), end = UINT64_MAX;
  double cpu = 0;
  for (uint64_t now = now_ns(); now < end; now = now_ns()) {
    if (!counting && now >= begin) {
      counting = 1, begin = now, end = now + (uint64_t)(seconds * 1e9), cpu = cpu_s();
      printf("begin\n");
      fflush(stdout);
    }
    gone += listen_to(poll, all, wait_ms);
  }
  double passed = (double)(now_ns() - begin) / 1e9;
  uint64_t fewest = UINT64_MAX;
  for (int at = never; at < clients; at++)
    if (all[at].messages < fewest) fewest = all[at].messages;
  if (notes) fclose(notes);
  printf("{\"clients\":%d,\"messages\":%lu,\"messages_per_s\":%.1f,\"bytes_per_s\":%.0f,\"p50_ms\":%.4f,\"p99_ms\":%.4f,"
         "\"worst_ms\":%.4f,\"measured\":%lu,\"closed\":%d,\"fewest\":%lu,\"client_cpu\":%.3f}\n",
         clients, counted, (double)counted / passed, (double)bytes_in / passed, quantile_ms(.5), quantile_ms(.99),
         (double)worst / 1e6, measured, gone, fewest, (cpu_s() - cpu) / passed);
  return 0;
}
