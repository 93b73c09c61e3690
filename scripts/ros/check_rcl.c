// Starts and stops rcl, the C library below every ROS 2 node. scripts/setup compiles and runs it: when it works,
// programs that are not Python find their headers and libraries, and can start.
#include <rcl/rcl.h>
#include <rcutils/error_handling.h>
#include <stdio.h>

static int failed(const char *what)
{
  fprintf(stderr, "%s: %s\n", what, rcutils_get_error_string().str);
  return 1;
}

int main(void)
{
  rcl_init_options_t options = rcl_get_zero_initialized_init_options();
  if (rcl_init_options_init(&options, rcl_get_default_allocator()) != RCL_RET_OK) {
    return failed("rcl_init_options_init");
  }
  rcl_context_t context = rcl_get_zero_initialized_context();
  if (rcl_init(0, NULL, &options, &context) != RCL_RET_OK) {
    return failed("rcl_init");
  }
  printf("%s\n", rmw_get_implementation_identifier());
  if (rcl_shutdown(&context) != RCL_RET_OK || rcl_context_fini(&context) != RCL_RET_OK) {
    return failed("rcl_shutdown");
  }
  return rcl_init_options_fini(&options) == RCL_RET_OK ? 0 : failed("rcl_init_options_fini");
}
