/* A FIDO token in software, for tests only: the middleware interface of OpenSSH (PROTOCOL.u2f, sk-api.h, version 10) for
   ed25519-sk keys. It keeps nothing: the key handle is the private key itself, so that enrolling and signing need no
   state. IR_TEST_TOKEN=away makes it answer as when no token is plugged in, =untouched as when nobody touches it.
   The prototypes of libcrypto are declared here, so that its headers need not be installed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION 0x000a0000u
#define ED25519 1
#define NID_ED25519 1087
#define USER_PRESENT 1
#define ERROR_GENERAL (-1)
#define ERROR_UNSUPPORTED (-2)
#define ERROR_NO_DEVICE (-4)

struct enrolled {
    uint8_t flags;
    uint8_t *public_key; size_t public_key_len;
    uint8_t *key_handle; size_t key_handle_len;
    uint8_t *signature; size_t signature_len;
    uint8_t *attestation_cert; size_t attestation_cert_len;
    uint8_t *authdata; size_t authdata_len;
};
struct signature {
    uint8_t flags;
    uint32_t counter;
    uint8_t *r; size_t r_len;
    uint8_t *s; size_t s_len;
};
struct option;
struct resident_key;
typedef struct key KEY;
typedef struct context CONTEXT;

extern KEY *EVP_PKEY_new_raw_private_key(int type, void *engine, const uint8_t *raw, size_t size);
extern int EVP_PKEY_get_raw_public_key(const KEY *key, uint8_t *raw, size_t *size);
extern void EVP_PKEY_free(KEY *key);
extern CONTEXT *EVP_MD_CTX_new(void);
extern void EVP_MD_CTX_free(CONTEXT *context);
extern int EVP_DigestSignInit(CONTEXT *context, void **inner, const void *digest, void *engine, KEY *key);
extern int EVP_DigestSign(CONTEXT *context, uint8_t *signature, size_t *size, const uint8_t *data, size_t data_len);
extern uint8_t *SHA256(const uint8_t *data, size_t size, uint8_t *digest);
extern int RAND_bytes(uint8_t *bytes, int count);

static int find_fault(void)
{
    const char *state = getenv("IR_TEST_TOKEN");

    if (state && !strcmp(state, "away"))
        return ERROR_NO_DEVICE;
    return state && !strcmp(state, "untouched") ? ERROR_GENERAL : 0;
}

uint32_t sk_api_version(void)
{
    return API_VERSION;
}

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
              const char *pin, struct option **options, struct enrolled **response)
{
    struct enrolled *made = calloc(1, sizeof *made);
    KEY *key;
    int fault = find_fault();

    (void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
    if (alg != ED25519 || fault || !made)
        return fault ? fault : ERROR_UNSUPPORTED;
    made->flags = flags;
    made->key_handle = malloc(made->key_handle_len = 32);
    made->public_key = malloc(made->public_key_len = 32);
    made->signature = calloc(1, made->signature_len = 64);
    RAND_bytes(made->key_handle, 32);
    key = EVP_PKEY_new_raw_private_key(NID_ED25519, NULL, made->key_handle, 32);
    EVP_PKEY_get_raw_public_key(key, made->public_key, &made->public_key_len);
    EVP_PKEY_free(key);
    *response = made;
    return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *handle,
            size_t handle_len, uint8_t flags, const char *pin, struct option **options, struct signature **response)
{
    uint8_t signed_data[32 + 1 + 4 + 32] = {0}; /* of the application, flags, counter, of the message: PROTOCOL.u2f */
    struct signature *made = calloc(1, sizeof *made);
    KEY *key = EVP_PKEY_new_raw_private_key(NID_ED25519, NULL, handle, handle_len);
    CONTEXT *context = EVP_MD_CTX_new();
    int fault = find_fault();

    (void)pin, (void)options;
    if (alg != ED25519 || fault || !key || !made)
        return fault ? fault : ERROR_UNSUPPORTED;
    made->flags = flags & USER_PRESENT;
    made->counter = 7;
    SHA256((const uint8_t *)application, strlen(application), signed_data);
    signed_data[32] = made->flags;
    signed_data[36] = (uint8_t)made->counter;
    SHA256(data, data_len, signed_data + 37);
    made->r = malloc(made->r_len = 64);
    EVP_DigestSignInit(context, NULL, NULL, NULL, key);
    EVP_DigestSign(context, made->r, &made->r_len, signed_data, sizeof signed_data);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    *response = made;
    return 0;
}

int sk_load_resident_keys(const char *pin, struct option **options, struct resident_key ***keys, size_t *count)
{
    (void)pin, (void)options, (void)keys, (void)count;
    return ERROR_UNSUPPORTED;
}
