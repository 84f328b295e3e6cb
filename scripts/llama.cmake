# CMake reads this file right after llama.cpp's own project() line, because llama_wheel.py names it in
# CMAKE_PROJECT_llama.cpp_INCLUDE. llama-cpp-python forces LLAMA_BUILD_COMMON on in the cache, so
# -DLLAMA_BUILD_COMMON=OFF is overruled; a plain variable set here wins. The common library serves
# llama.cpp's command-line tools only, and is most of the compile: 13 minutes on two cores with it.
set(LLAMA_BUILD_COMMON OFF)
