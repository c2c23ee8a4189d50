// Evaluates arithmetic expressions: parses to a tree, folds, frees.

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Node {
  char operation;  // 'n' for a number
  int64_t number;
  struct Node* left;
  struct Node* right;
};

struct Parser {
  const char* at;
  const char* error;
};

static struct Node* Sum(struct Parser* parser);

static struct Node* Make(char operation, int64_t number, struct Node* left,
                         struct Node* right) {
  struct Node* node = malloc(sizeof(*node));
  if (node == NULL) abort();
  *node = (struct Node){operation, number, left, right};
  return node;
}

static void Free(struct Node* node) {
  if (node == NULL) return;
  Free(node->left);
  Free(node->right);
  free(node);
}

static void SkipBlanks(struct Parser* parser) {
  while (isspace((unsigned char)*parser->at)) parser->at++;
}

static bool Accept(struct Parser* parser, char wanted) {
  SkipBlanks(parser);
  if (*parser->at != wanted) return false;
  parser->at++;
  return true;
}

static struct Node* Atom(struct Parser* parser) {
  if (Accept(parser, '(')) {
    struct Node* inner = Sum(parser);
    if (!Accept(parser, ')')) parser->error = "a ) is missing";
    return inner;
  }
  if (Accept(parser, '-'))
    return Make('-', 0, Make('n', 0, 0, 0), Atom(parser));
  SkipBlanks(parser);
  if (!isdigit((unsigned char)*parser->at)) {
    parser->error = "a number is missing";
    return Make('n', 0, NULL, NULL);
  }
  char* end = NULL;
  errno = 0;
  int64_t number = strtoll(parser->at, &end, 10);
  if (errno == ERANGE) parser->error = "the number is too large";
  parser->at = end;
  return Make('n', number, NULL, NULL);
}

static struct Node* Chain(struct Parser* parser, const char* operations,
                          struct Node* (*next)(struct Parser*)) {
  struct Node* left = next(parser);
  for (;;) {
    SkipBlanks(parser);
    char operation = *parser->at;
    if (operation == '\0' || strchr(operations, operation) == NULL) return left;
    parser->at++;
    left = Make(operation, 0, left, next(parser));
  }
}

static struct Node* Product(struct Parser* parser) {
  return Chain(parser, "*/%", Atom);
}

static struct Node* Sum(struct Parser* parser) {
  return Chain(parser, "+-", Product);
}

static int64_t Value(const struct Node* node, const char** error) {
  if (node->operation == 'n') return node->number;
  int64_t left = Value(node->left, error);
  int64_t right = Value(node->right, error);
  switch (node->operation) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    default:
      break;
  }
  if (right == 0) {
    *error = "division by zero";
    return 0;
  }
  return node->operation == '/' ? left / right : left % right;
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    struct Parser parser = {argv[i], NULL};
    struct Node* tree = Sum(&parser);
    if (parser.error == NULL && *parser.at != '\0') parser.error = "left over";
    int64_t value = 0;
    if (parser.error == NULL) value = Value(tree, &parser.error);
    if (parser.error != NULL) {
      printf("%s: %s\n", argv[i], parser.error);
    } else {
      printf("%s = %lld\n", argv[i], (long long)value);
    }
    Free(tree);
  }
  return 0;
}
