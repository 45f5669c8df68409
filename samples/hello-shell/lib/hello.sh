# Shared by every platform: sourced by bin/build.
say_hello() {
	echo "-----> Hello from a shell on $1"
}
